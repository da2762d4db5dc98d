// Package node runs the one node of the test cluster: etcd, Kubernetes' processes,
// a container runtime, DNS, and beside them PostgreSQL, Redis and a Kafka of three
// brokers, all as children of one process.
//
// When that one ends, of whatever, the kernel ends its children. What they leave,
// containers and mounts among it, is for [machine.Sweep]; nothing is kept for a
// next start.
//
// [machine.Sweep]: https://pkg.go.dev/github.com/millrace/millrace/infra/cluster/machine#Sweep
package node
