package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/infra/cli/status"
	"github.com/millrace/millrace/infra/cli/terminal"
	"github.com/millrace/millrace/shared/fault"
	"github.com/millrace/millrace/shared/views"
)

type statusOptions struct {
	watch    bool
	interval time.Duration
	entity   string
}

func (a *app) statusCommand() *cobra.Command {
	var o statusOptions
	c := &cobra.Command{
		Use:   "status",
		Short: "Tell which functions are up, how far behind, and what waits or failed",
		Long: `Shows for each function whether it and its trigger are ready, how many events a
second it gets done, how many records it is behind, how many events are parked
until an earlier one of their stream comes, and how many dead letters are open;
what the relay has still to tell Redis and Kafka; and the dead letters that are in
a dead-letter topic only, as no function could read or keep them.

With --entity it shows one entity instead: its version, its streams and what
they miss, its parked events, its open dead letters, the last decisions, and what
Redis shows of it.

The exit status is 1 if something is not ready or does not answer. A question
mark stands for what a server would have told that does not answer.`,
		Example: `  millrace status
  millrace status --watch
  millrace status --entity acme/position/account-1`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case o.interval <= 0:
				return &usageError{command: c.CommandPath(), err: errors.New("--interval must be above zero")}
			case o.entity != "":
				return a.showEntity(c.Context(), o)
			default:
				return a.status(c.Context(), o)
			}
		},
	}
	c.Flags().BoolVarP(&o.watch, "watch", "w", false, "go on until Ctrl-C")
	c.Flags().DurationVar(&o.interval, "interval", time.Second, "over which throughput is counted, and between two looks of --watch")
	c.Flags().StringVarP(&o.entity, "entity", "e", "", "one entity: tenant/function/subject")
	return c
}

func (a *app) status(ctx context.Context, o statusOptions) (err error) {
	at, err := a.locate("KAFKA_BROKERS", "DATABASE_URL")
	if err != nil {
		return err
	}
	source := status.NewSource(at)
	defer func() { err = errors.Join(err, source.Close()) }()
	before := source.Take(ctx)
	for {
		if !fault.Pause(ctx, o.interval) {
			return nil
		}
		now := source.Take(ctx)
		if err := a.show(o.watch, func(out *bytes.Buffer) error { return status.Render(out, before, now) }); err != nil {
			return err
		}
		if !o.watch {
			if !now.Well() {
				return errSilent
			}
			return nil
		}
		before = now
	}
}

func (a *app) showEntity(ctx context.Context, o statusOptions) (err error) {
	name, err := status.ParseEntityName(o.entity)
	if err != nil {
		return err
	}
	at, err := a.locate("DATABASE_URL", "REDIS_URL")
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, at.DatabaseURL)
	if err != nil {
		return fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	shown, err := views.Open(ctx, at.RedisURL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shown.Close()) }()
	for {
		e, err := status.ReadEntity(ctx, conn, shown, name)
		if errors.Is(err, status.ErrNoEntity) && !o.watch {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err != nil && !errors.Is(err, status.ErrNoEntity) {
			return err
		}
		if err := a.show(o.watch, func(out *bytes.Buffer) error { return status.RenderEntity(out, e) }); err != nil {
			return err
		}
		if !o.watch || !fault.Pause(ctx, o.interval) {
			return nil
		}
	}
}

// show writes a picture in one go; on a terminal that is watched it takes the
// place of the one before.
func (a *app) show(watch bool, render func(*bytes.Buffer) error) error {
	var picture bytes.Buffer
	const clearScreen = "\x1b[H\x1b[2J"
	switch {
	case watch && terminal.IsTerminal(a.Out):
		picture.WriteString(clearScreen)
	case watch:
		fmt.Fprintf(&picture, "%s\n", time.Now().Format(time.TimeOnly))
	}
	if err := render(&picture); err != nil {
		return err
	}
	if watch && !terminal.IsTerminal(a.Out) {
		picture.WriteByte('\n')
	}
	_, err := a.Out.Write(picture.Bytes())
	return err
}
