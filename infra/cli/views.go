package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/infra/cli/terminal"
	"github.com/millrace/millrace/shared/outbox"
)

func (a *app) viewsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "views",
		Short: "Rebuild what Redis shows",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.rebuildCommand())
	return c
}

func (a *app) rebuildCommand() *cobra.Command {
	var part outbox.Part
	c := &cobra.Command{
		Use:   "rebuild",
		Short: "Show in Redis anew what PostgreSQL says",
		Long: `Reads every entity and every sum of many entities from PostgreSQL and shows it in
Redis anew, whatever Redis shows of it, and returns when that is done. Traffic goes
on: what is decided meanwhile is newer, and stays. It may be stopped, and run
again, at any time.

Nobody has to run it after Redis lost its data or failed over: the relay finds
that out by itself, and does the same. It is for a Redis that somebody changed by
hand. Keys and members that no entity accounts for it leaves alone; "millrace
verify" names them.`,
		Example: `  millrace views rebuild
  millrace views rebuild --function position --tenant acme`,
		Args: noArgs,
		RunE: checked(func() error { return checkFunction(part.Function) }, func(ctx context.Context) error { return a.rebuild(ctx, part) }),
	}
	c.Flags().StringVar(&part.Function, "function", "", "only what this function shows")
	c.Flags().StringVar(&part.Tenant, "tenant", "", "only what this tenant is shown")
	return c
}

const countItems = `
SELECT (SELECT count(*) FROM millrace.entities WHERE ($1 = '' OR function = $1) AND ($2 = '' OR tenant_id = $2))
     + (SELECT count(*) FROM (
            SELECT DISTINCT tenant_id, function, name, key FROM millrace.aggregates
            WHERE ($1 = '' OR function = $1) AND ($2 = '' OR tenant_id = $2)) AS keys)`

func (a *app) rebuild(ctx context.Context, part outbox.Part) (err error) {
	s, err := a.stores("DATABASE_URL", "REDIS_URL")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	pool, errPool := s.postgres(ctx)
	shown, errRedis := s.redis(ctx)
	if err := cmp.Or(errPool, errRedis); err != nil {
		return err
	}
	total, err := countShown(ctx, pool, part)
	if err != nil {
		return err
	}
	relay := outbox.NewRelay(outbox.RelayConfig{
		Pool: pool, Redis: shown, Functions: functions.All(), Timeout: 30 * time.Second, Log: slog.New(slog.DiscardHandler),
	})
	began, done := time.Now(), int64(0)
	bar := terminal.NewBar(a.Err, "showing anew", total)
	part.Progress = func(n int) {
		done += int64(n)
		bar.Set(done, fmt.Sprintf("%d entities and sums", done))
	}
	err = relay.Restore(ctx, part)
	bar.Clear()
	if err != nil {
		return fmt.Errorf("%d of about %d entities and sums are shown anew: %w", done, total, err)
	}
	if done == 0 {
		if err := noEntity(part.Tenant, part.Function, time.Time{}); err != nil {
			return err
		}
	}
	fmt.Fprintf(a.Out, "Redis shows %d entities and sums anew, after %.1f s.\n", done, time.Since(began).Seconds())
	return nil
}

func countShown(ctx context.Context, pool *pgxpool.Pool, part outbox.Part) (n int64, err error) {
	if err := pool.QueryRow(ctx, countItems, part.Function, part.Tenant).Scan(&n); err != nil {
		return 0, fmt.Errorf("counting what Redis shows: %w", err)
	}
	return n, nil
}
