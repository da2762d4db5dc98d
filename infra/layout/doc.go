// Package layout holds the tests of how the repository is put together: who
// may import whom, and what the binaries of functions must not carry.
package layout
