package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/millrace/millrace/infra/cluster/images"
	"github.com/millrace/millrace/infra/cluster/machine"
	"github.com/millrace/millrace/infra/cluster/place"
	"github.com/millrace/millrace/infra/cluster/programs"
	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/stack/process"
)

type node struct {
	p        place.Place
	keys     keys
	binaries struct{ kubernetes, coreDNS string }
	pause    images.Image

	keepers sync.WaitGroup // who keep programs running
}

// Lock is held by the one process that runs a node on this machine.
func Lock() string { return filepath.Join(place.Run, "lock") }

// Run runs the node until the context ends, and tells ready once all of it works.
// The machine is as [machine.Sweep] leaves it; so it is left, but for what that
// one removes.
func Run(ctx context.Context, p place.Place, report stack.Reporter, ready func()) error {
	unlock, err := process.TryLock(Lock())
	if err != nil {
		return err
	}
	defer unlock()
	n := &node{p: p, keys: keys{p}}
	if n.binaries.kubernetes, err = programs.Kubernetes.Dir(p.Root, p.Bin()); err != nil {
		return err
	}
	if n.binaries.coreDNS, err = programs.CoreDNS.Dir(p.Root, p.Bin()); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer n.keepers.Wait()
	defer stop()
	return n.run(ctx, report, ready)
}

func (n *node) run(ctx context.Context, report stack.Reporter, ready func()) error {
	if err := os.MkdirAll(n.p.State(), 0o755); err != nil {
		return err
	}
	if err := machine.Prepare(ctx, n.p); err != nil {
		return err
	}
	if err := n.keys.make(); err != nil {
		return fmt.Errorf("making certificates: %w", err)
	}
	if err := n.keys.writeKubeconfig(); err != nil {
		return err
	}
	var err error
	if n.pause, err = PauseImage(n.p); err != nil {
		return err
	}
	if err := n.writeFiles(); err != nil {
		return err
	}
	// Both take most of their time waiting.
	both, start := errgroup.WithContext(ctx)
	var s stores
	defer func() { s.stop() }()
	both.Go(func() error { return s.start(ctx, n.p, report) })
	both.Go(func() error { return n.startKubernetes(start, ctx, report) })
	if err := both.Wait(); err != nil {
		return err
	}
	ready()
	<-ctx.Done()
	return nil
}

// startKubernetes returns when the node takes pods. What it starts lives as long
// as life.
func (n *node) startKubernetes(ctx, life context.Context, report stack.Reporter) error {
	done := report.Begin("starting etcd, the API server and the container runtime")
	n.keep(life, n.containerd())
	n.keep(life, n.etcd())
	n.keep(life, n.apiServer())
	err := n.await(ctx, "kube-apiserver", n.kubectl("get", "--raw=/readyz"))
	done()
	if err != nil {
		return err
	}
	defer report.Begin("starting controllers, scheduler, kubelet, kube-proxy and DNS")()
	if err := n.importPause(ctx); err != nil {
		return err
	}
	for _, p := range []program{n.controllers(), n.scheduler(), n.kubelet(), n.kubeProxy(), n.dns()} {
		n.keep(life, p)
	}
	return n.await(ctx, "kubelet", n.kubectl("wait", "--for=condition=Ready", "node/millrace", "--timeout=5s"))
}

func (n *node) kubectl(args ...string) process.Spec {
	return process.Spec{
		Path: filepath.Join(n.binaries.kubernetes, "kubectl"),
		Args: append([]string{"--kubeconfig=" + n.p.Kubeconfig()}, args...),
	}
}
