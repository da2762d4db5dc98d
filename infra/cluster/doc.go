// Package cluster is nothing but this text. The folder holds the test cluster: a
// real Kubernetes with real Knative on one Linux machine, built from Go modules
// and Debian packages, for tests of what no simulation shows.
//
//	cmd/cluster   the command behind the tasks cluster:up, cluster:deploy, cluster:down
//	place         where all of it lies
//	programs      modules that pin what is built, and the building
//	images        container images of static programs
//	machine       what this machine lacks; what is changed on it, and put back
//	node          the processes of the one node, and who keeps them running
//	knative       Knative and what stands in for its networking layer
//	deploy        Millrace on this cluster, or on any other
//
// All of it is test equipment; what the product needs lies in infra/knative.
// docs/cluster.md tells how to use it.
//
// A crash anywhere leaves processes, mounts, a bridge and rules behind. The next
// `up` or `down` finds and removes them: [machine.Sweep] is the one way that
// anything ends, whether it crashed or not.
//
// [machine.Sweep]: https://pkg.go.dev/github.com/millrace/millrace/infra/cluster/machine#Sweep
package cluster
