package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/infra/cli/terminal"
	"github.com/millrace/millrace/infra/cluster/kubectl"
	"github.com/millrace/millrace/infra/cluster/machine"
	"github.com/millrace/millrace/infra/cluster/node"
	"github.com/millrace/millrace/infra/cluster/place"
	"github.com/millrace/millrace/infra/stack/process"
	"github.com/millrace/millrace/shared/fault"
)

func newTrial() *cobra.Command {
	return &cobra.Command{
		Use: "trial", Short: "Do what `up` does, after a start that is cut off, and once more while it runs", Args: cobra.NoArgs, RunE: here(trial),
	}
}

func newTraces() *cobra.Command {
	return &cobra.Command{
		Use: "traces", Short: "Fail if this machine is not as it was before `trial`", Args: cobra.NoArgs, RunE: here(traces),
	}
}

func beforeTrial(p place.Place) string { return filepath.Join(p.Data(), "before-trial.json") }

// trial holds what is said of `up`: a run that was cut off does not hinder it, and a
// cluster that runs goes on.
func trial(ctx context.Context, p place.Place, report *terminal.Reporter) error {
	if err := os.RemoveAll(beforeTrial(p)); err != nil {
		return err
	}
	k, err := prepare(ctx, p, report)
	if err != nil {
		return err
	}
	if err := alone(p); err != nil {
		return err
	}
	if err := remove(ctx, report); err != nil {
		return err
	}
	before, err := machine.Look(ctx, p)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(before, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(beforeTrial(p), text, 0o644); err != nil {
		return err
	}
	if err := crash(ctx, p, k, before, report); err != nil {
		return err
	}
	if err := up(ctx, p, report); err != nil {
		return fmt.Errorf("after a run that was cut off: %w", err)
	}
	holder := process.Holder(node.Lock())
	if err := up(ctx, p, report); err != nil {
		return fmt.Errorf("of a cluster that runs: %w", err)
	}
	if now := process.Holder(node.Lock()); now != holder {
		return fmt.Errorf("the node that ran was started anew: it was process %d, and is %d", holder, now)
	}
	return nil
}

// crash starts the node and a pod on it, and then ends who runs the node as nobody
// can prepare for.
func crash(ctx context.Context, p place.Place, k kubectl.Kubectl, before machine.Traces, report *terminal.Reporter) error {
	if err := startNode(ctx, p, k, report); err != nil {
		return err
	}
	if err := startPod(ctx, p, k); err != nil {
		return err
	}
	if err := killNode(); err != nil {
		return err
	}
	now, err := machine.Look(ctx, p)
	if err != nil {
		return err
	}
	left := now.Since(before)
	if len(left) == 0 {
		return errors.New("a kill has left nothing behind, so nothing is shown")
	}
	report.Note(fmt.Sprintf("Killed the node: it has left %d traces.", len(left)))
	return nil
}

// killNode ends who holds the node's lock now, and nobody else.
func killNode() error {
	unlock, err := process.TryLock(node.Lock())
	var held *process.LockedError
	if errors.As(err, &held) && held.PID > 1 {
		return process.End(held.PID, syscall.SIGKILL, 10*time.Second)
	}
	if err == nil {
		unlock()
	}
	return errors.Join(errors.New("nobody is known who runs the node"), err)
}

// startPod returns when it runs: with its sandbox, network and mounts it outlives the
// node.
func startPod(ctx context.Context, p place.Place, k kubectl.Kubectl) error {
	image, err := node.PauseImage(p)
	if err != nil {
		return err
	}
	// Kubernetes takes no pod of an account that it has not made yet.
	if _, err := k.Run(ctx, "wait", "--for=create", "serviceaccount/default", "--timeout=1m"); err != nil {
		return err
	}
	pod := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "left-over", "namespace": "default"},
		"spec": {"containers": [{"name": "pause", "image": %q}]}}`, image.Ref)
	if _, err := k.Apply(ctx, []byte(pod)); err != nil {
		return err
	}
	_, err = k.Run(ctx, "wait", "--for=condition=Ready", "pod/left-over", "--timeout=2m")
	return err
}

// traces waits a little: the kernel takes a network apart some moments after its
// last process has ended.
func traces(ctx context.Context, p place.Place, report *terminal.Reporter) error {
	text, err := os.ReadFile(beforeTrial(p))
	if err != nil {
		return fmt.Errorf("how this machine was before: %w", err)
	}
	var before machine.Traces
	if err := json.Unmarshal(text, &before); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		now, err := machine.Look(ctx, p)
		if err != nil {
			return err
		}
		left := now.Since(before)
		if len(left) == 0 {
			report.Note(fmt.Sprintf("This machine is as it was, in all of %d traces.", len(before)))
			return os.Remove(beforeTrial(p))
		}
		if !fault.Pause(ctx, time.Second) {
			return fmt.Errorf("this machine is not as it was:\n%s", strings.Join(left, "\n"))
		}
	}
}
