// Package place tells where the test cluster keeps things, and its addresses.
//
// Nothing here is written, so nothing can be left behind.
package place

import "path/filepath"

// Run holds the sockets and what must be known to clean up. It is one for the
// machine, whichever checkout the cluster was started from: there can be one cluster.
const Run = "/run/millrace-cluster"

// Addresses of the one node. They lie on a bridge of this machine alone.
const (
	Bridge     = "millrace0"
	Node       = "10.88.0.1"
	Pods       = "10.88.0.0/16"
	Services   = "10.96.0.0/16"
	Kubernetes = "10.96.0.1"
	// IngressOutside and IngressInside are the stand-in's two ways in.
	IngressOutside = "10.96.0.80"
	IngressInside  = "10.96.0.81"
)

// Ports on Node. Those of the stores are not the usual ones: this machine may run
// some of its own.
const (
	APIPort      = 6443
	EtcdPort     = 23790
	EtcdPeerPort = 23800
	PostgresPort = 15432
	RedisPort    = 16379
	KafkaPort    = 19092 // and the two that follow
)

// Place is where a checkout keeps the cluster.
type Place struct {
	// Root is the checkout.
	Root string
}

// Data holds everything: programs that are built, and the cluster while it runs.
func (p Place) Data() string { return filepath.Join(p.Root, ".millrace", "cluster") }

// Bin holds what was built.
func (p Place) Bin() string { return filepath.Join(p.Data(), "bin") }

// Kubeconfig is the administrator's.
func (p Place) Kubeconfig() string { return filepath.Join(p.Data(), "kubeconfig") }

// State is a file or folder of the cluster that runs, gone after it.
func (p Place) State(name ...string) string {
	return filepath.Join(append([]string{p.Data(), "run"}, name...)...)
}

// Log is where a process of the node logs. Logs outlive the cluster.
func (p Place) Log(process string) string { return filepath.Join(p.Data(), "log", process+".log") }

// Containerd is the socket of the container runtime.
func Containerd() string { return filepath.Join(Run, "containerd.sock") }
