// Package machine prepares this machine for the test cluster, and puts it back:
// a bridge, kernel settings, mounts, control groups, rules of the packet filter.
//
// What was there before is written down before anything is changed, and read when
// it is put back, so a crash in between costs nothing.
package machine
