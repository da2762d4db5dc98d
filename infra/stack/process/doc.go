// Package process starts child processes that do not outlive their parent.
//
// A child gets a process group of its own, so that Ctrl-C in a terminal
// reaches the parent alone and the parent can stop its children in the order
// it wants. On Linux the kernel signals each child when the parent dies, even
// of a kill -9. Elsewhere a child that is left over is found by its pid file
// at the next start (see [Claim]).
//
// A crash of the parent loses nothing that this package holds: it holds no
// state of its own but the pid files.
package process
