package node

import (
	"context"
	"fmt"
	"log/slog"
	"syscall"
	"time"

	"github.com/millrace/millrace/infra/stack/process"
	"github.com/millrace/millrace/shared/fault"
)

// program is one that runs as long as the node does.
type program struct {
	name, path string
	args       []string
}

// keep starts a program, and starts it again when it ends before life does.
func (n *node) keep(life context.Context, p program) {
	n.keepers.Go(func() {
		for life.Err() == nil {
			if err := n.once(life, p); err != nil {
				slog.Error("will be started again", "program", p.name, "error", err)
			}
			fault.Pause(life, time.Second)
		}
	})
}

func (n *node) once(life context.Context, p program) error {
	log, err := openLog(n.p, p.name)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the child has its own handle
	running, err := process.Start(process.Spec{Path: p.path, Args: p.args, Output: log})
	if err != nil {
		return err
	}
	select {
	case <-running.Done():
		return fmt.Errorf("ended: %w", running.Err())
	case <-life.Done():
		return running.Stop(syscall.SIGTERM, 10*time.Second)
	}
}

// patience is for a machine on which much else runs.
const patience = 3 * time.Minute

// patiently tries until it succeeds, or patience is at its end.
func patiently(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil || !fault.Pause(ctx, 200*time.Millisecond) {
			return err
		}
	}
}

// await asks until the answer is yes.
func (n *node) await(ctx context.Context, name string, question process.Spec) error {
	err := patiently(ctx, func(ctx context.Context) error {
		_, err := process.Run(ctx, question)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s is not ready (%s): %w", name, n.p.Log(name), err)
	}
	return nil
}
