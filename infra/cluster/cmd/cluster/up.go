package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/infra/cli/terminal"
	"github.com/millrace/millrace/infra/cluster/knative"
	"github.com/millrace/millrace/infra/cluster/kubectl"
	"github.com/millrace/millrace/infra/cluster/machine"
	"github.com/millrace/millrace/infra/cluster/place"
	"github.com/millrace/millrace/infra/cluster/programs"
	"github.com/millrace/millrace/infra/stack/process"
)

func up(ctx context.Context, p place.Place, report *terminal.Reporter) error {
	began := time.Now()
	k, err := prepare(ctx, p, report)
	if err != nil {
		return err
	}
	if err := startNode(ctx, p, k, report); err != nil {
		return err
	}
	if err := knative.Install(ctx, p, k, report); err != nil {
		return err
	}
	report.Note(fmt.Sprintf("The cluster is ready (%s). export KUBECONFIG=%s", time.Since(began).Round(time.Second), p.Kubeconfig()))
	return nil
}

// prepare returns when nothing is missing to start the cluster.
func prepare(ctx context.Context, p place.Place, report *terminal.Reporter) (k kubectl.Kubectl, err error) {
	if err := machine.Ready(ctx, report); err != nil {
		return k, err
	}
	if err := programs.Build(ctx, p.Root, p.Bin(), report); err != nil {
		return k, err
	}
	if err := buildPause(ctx, p); err != nil {
		return k, err
	}
	return ours(p)
}

// ours is kubectl for the test cluster.
func ours(p place.Place) (kubectl.Kubectl, error) {
	dir, err := programs.Kubernetes.Dir(p.Root, p.Bin())
	return kubectl.Kubectl{Program: filepath.Join(dir, "kubectl"), Config: p.Kubeconfig()}, err
}

func buildPause(ctx context.Context, p place.Place) error {
	_, err := process.Run(ctx, process.Spec{
		Path: "go", Args: []string{"build", "-mod=mod", "-ldflags", "-s -w", "-o", filepath.Join(p.Bin(), "pause"), "./cmd/pause"},
		Env: append(os.Environ(), "CGO_ENABLED=0"), Dir: filepath.Join(p.Root, "infra", "cluster"),
	})
	return err
}

// startNode starts the node unless it runs already and works. What an earlier run
// has left, whole or not, is removed before.
func startNode(ctx context.Context, p place.Place, k kubectl.Kubectl, report *terminal.Reporter) error {
	if err := alone(p); err != nil {
		return err
	}
	if isReady() {
		if _, err := k.Run(ctx, "get", "--raw=/readyz"); err == nil {
			report.Note("The node runs already.")
			return nil
		}
	}
	if err := remove(ctx, report); err != nil {
		return err
	}
	return spawn(p, report)
}

// alone returns nil unless another checkout's cluster is here.
func alone(p place.Place) error {
	if owner, ok := machine.Owner(); ok && owner != p.Data() {
		return fmt.Errorf("there can be one cluster on a machine, and that of %s is here: end it first (cluster:down)", owner)
	}
	return nil
}

func readyFile() string { return filepath.Join(place.Run, "ready") }

func isReady() bool {
	_, err := os.Stat(readyFile())
	return err == nil
}

func down(ctx context.Context, p place.Place, report *terminal.Reporter) error {
	if _, ok := machine.Owner(); !ok {
		report.Note("There is no cluster.")
		return nil
	}
	if os.Geteuid() != 0 {
		return errors.New("the cluster was made by root, and only root can remove it")
	}
	return errors.Join(remove(ctx, report), os.RemoveAll(p.Kubeconfig()))
}
