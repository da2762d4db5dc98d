package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/infra/platform"
)

// Streams are where a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// app is what all commands share.
type app struct {
	Streams
	data string
}

// errSilent makes the exit status 1 when all was said already.
var errSilent = errors.New("")

// Run runs the command and returns its exit status: 0 all went well, 1 it did
// not, 2 the command was not understood.
func Run(ctx context.Context, args []string, streams Streams) int {
	// Its lines about single attempts to connect would stand between ours,
	// which tell the outcome.
	redis.SetLogger(&logging.VoidLogger{})
	root := newRoot(streams)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errSilent):
		return 1
	case errors.As(err, &usage):
		fmt.Fprintf(streams.Err, "millrace: %v (try: %s --help)\n", err, usage.command)
		return 2
	default:
		fmt.Fprintf(streams.Err, "millrace: %v\n", err)
		return 1
	}
}

// usageError is a command line that was not understood.
type usageError struct {
	command string
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func newRoot(streams Streams) *cobra.Command {
	a := &app{Streams: streams}
	root := &cobra.Command{
		Use:   "millrace",
		Short: "Events from Kafka to PostgreSQL and Redis, each exactly once",
		Long: `Millrace runs small functions over streams of events. Each event comes from
Kafka, is decided once, in the order of its entity (an account, say), and its
effects are one PostgreSQL transaction; Redis shows the result.

The way of an event on this machine:

  millrace send -> Kafka topic trade-events -> trigger -> function trade
                                                            | one transaction
                        Redis <- relay <- outbox <- PostgreSQL

Start with "millrace up", leave it running, and open a second terminal.`,
		Example: `  millrace up                                    # run everything here
  millrace send --wait --file trades.jsonl       # send events and see what was decided
  millrace simulate --rate 500                   # traffic of many tenants
  millrace status --watch                        # lag, throughput, dead letters
  millrace status --entity acme/trade/account-1  # one account
  millrace dlq list                              # what could not be decided, and redrive it
  millrace streams list --stuck                  # what waits for an event that is missing
  millrace new visit                             # a function of your own`,
		Version:       version(buildInfo()),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	root.PersistentFlags().StringVar(&a.data, "dir", "", "folder of the platform's data (default: "+platform.DataFolder+" at the root of the checkout)")
	root.AddCommand(a.upCommand(), a.sendCommand(), a.simulateCommand(), a.statusCommand(), a.dlqCommand(), a.streamsCommand(), a.benchCommand(), a.soakCommand(), a.newCommand())
	root.AddCommand(a.verifyCommand(), a.viewsCommand(), a.replayCommand(), a.maintainCommand())
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	root.SetVersionTemplate("{{.Version}}\n")
	return root
}

// checked is what a command does that checks its flags first.
func checked(check func() error, run func(context.Context) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, _ []string) error {
		if err := check(); err != nil {
			return &usageError{command: c.CommandPath(), err: err}
		}
		return run(c.Context())
	}
}

// noArgs refuses arguments with an error that says how to go on.
func noArgs(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case c.HasSubCommands():
		return unknownCommand(c, args[0])
	default:
		return &usageError{command: c.CommandPath(), err: fmt.Errorf("it takes no arguments, and got %q", args[0])}
	}
}

// folders are the checkout that the working directory is in, if it is in one,
// and the data folder.
func (a *app) folders() (platform.Folders, error) {
	root, err := platform.FindRoot(".")
	if err != nil && a.data == "" {
		return platform.Folders{}, err
	}
	data := a.data
	if data == "" {
		data = filepath.Join(root, platform.DataFolder)
	}
	if data, err = filepath.Abs(data); err != nil {
		return platform.Folders{}, err
	}
	return platform.Folders{Root: root, Data: data}, nil
}
