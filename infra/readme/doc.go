// Package readme holds the test that runs the README: every command of its
// tour, on a platform started as it says, with the output that it shows.
package readme
