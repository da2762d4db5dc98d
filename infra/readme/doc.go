// Package readme holds the test that runs the README: the commands of its
// tour, on a platform started as it says; where it shows output, that is what
// they must print.
package readme
