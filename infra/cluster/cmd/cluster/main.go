// Command cluster runs a real Kubernetes with real Knative on this machine, for
// tests. The tasks cluster:up, cluster:deploy and cluster:down call it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/infra/cli/terminal"
	"github.com/millrace/millrace/infra/cluster/machine"
	"github.com/millrace/millrace/infra/cluster/place"
	"github.com/millrace/millrace/infra/platform"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		if _, unable := errors.AsType[*machine.UnableError](err); unable {
			os.Exit(unableStatus)
		}
		os.Exit(1)
	}
}

// unableStatus tells the task cluster:ci that there is nothing to be repaired.
const unableStatus = 3

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return newRoot().ExecuteContext(ctx)
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use: "cluster", Short: "A real Kubernetes with real Knative on this machine, for tests",
		SilenceUsage: true, SilenceErrors: true,
	}
	root.AddCommand(
		&cobra.Command{Use: "up", Short: "Start the cluster, and return when it is ready", Args: cobra.NoArgs, RunE: here(up)},
		&cobra.Command{Use: "down", Short: "End the cluster, and leave nothing of it behind", Args: cobra.NoArgs, RunE: here(down)},
		&cobra.Command{Use: "logs", Short: "Show what the node and its pods have logged, most of those that are not well", Args: cobra.NoArgs, RunE: here(logs)},
		newDeploy(), newRun(), newTrial(), newTraces(),
	)
	return root
}

// here calls a command with the checkout that it is called in.
func here(do func(context.Context, place.Place, *terminal.Reporter) error) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, _ []string) error {
		root, err := platform.FindRoot(".")
		if err != nil {
			return err
		}
		return do(command.Context(), place.Place{Root: root}, terminal.New(os.Stderr))
	}
}
