// Package faults makes the faults that Millrace survives happen on real
// components, and then has package invariants say whether its promises hold:
// processes are killed with SIGKILL between two steps, connections cut where it
// hurts most, PostgreSQL restarted, filled up and failed over, Redis emptied, a
// Redis Cluster robbed of a master. docs/guarantees.md names the test of each.
//
// Nothing in the product knows of this: package proxy holds a process at a step
// by holding the message that it sends or waits for.
package faults
