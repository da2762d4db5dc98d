// Package family makes a new function: the folder of an event family, small but
// complete, and its place in everything that lists the functions.
//
// It plans all changes before it writes the first one, so that a wrong name or a
// repository that it does not understand changes nothing. What a crash in the
// middle leaves is seen, and taken back, with git.
package family
