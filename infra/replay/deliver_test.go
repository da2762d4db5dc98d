package replay_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/functions/trade"
	"github.com/millrace/millrace/infra/replay"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/outbox"
	"github.com/millrace/millrace/shared/runtime"
)

// decided returns how to replay the audit log of a database with one decision.
func decided(t *testing.T) replay.Config {
	t.Helper()
	c := replay.Config{FromAudit: true, Functions: []function.Definition{trade.New()},
		Limits: runtime.Limits{Drain: 100, Parked: 100, DeadLetters: 100}, Patience: time.Second}
	var err error
	if c.Pool, err = pgxpool.New(t.Context(), stacktest.Postgres(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Pool.Close)
	const raw = `{"specversion":"1.0","type":"trade.executed.v1","id":"T","source":"/desk","subject":"a","tenantid":"acme","time":"2026-03-14T09:26:53Z",
		"data":{"instrument":"ACME","side":"buy","quantity":"1","price":"1","currency":"EUR"}}`
	processor := runtime.NewProcessor(c.Functions[0], c.Pool, c.Limits, slog.New(slog.DiscardHandler), func(outbox.Claim) {})
	if _, err := processor.Process(t.Context(), []event.Received{event.ParseStructured([]byte(raw))}); err != nil {
		t.Fatal(err)
	}
	return c
}

// stuck replays what cannot end, and expects to hear why.
func stuck(t *testing.T, c replay.Config, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := replay.Run(ctx, c); ctx.Err() != nil || err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}

func TestRoleThatMayNotWrite(t *testing.T) {
	t.Parallel()
	c := decided(t)
	reads := c.Pool.Config()
	reads.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "SET ROLE pg_read_all_data")
		return err
	}
	var err error
	if c.Pool, err = pgxpool.NewWithConfig(t.Context(), reads); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Pool.Close)
	stuck(t, c, "permission denied for table entities")
}

func TestTableThatStaysLocked(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"seen", "audit"} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			c := decided(t)
			tx, err := c.Pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
			if _, err := tx.Exec(t.Context(), "LOCK TABLE millrace."+table); err != nil {
				t.Fatal(err)
			}
			stuck(t, c, "not done within 1s")
		})
	}
}
