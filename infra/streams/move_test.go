package streams_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/millrace/millrace/functions/trade"
	"github.com/millrace/millrace/infra/operations"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/infra/streams"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/outbox"
	"github.com/millrace/millrace/shared/runtime"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

var name = streams.Name{TenantID: "acme", Function: "trade", Subject: "a", Source: "/desk"}

func executed(sequence int64) event.Received {
	return event.ParseStructured(fmt.Appendf(nil, `{"specversion":"1.0","type":"trade.executed.v1","id":"T%d","sequence":"%d","source":"/desk","subject":"a","tenantid":"acme",
		"time":"2026-03-14T09:26:53Z","data":{"instrument":"ACME","side":"buy","quantity":"1","price":"1","currency":"EUR"}}`, sequence, sequence))
}

// newTrade is function trade on a database of its own, which publishes nothing.
func newTrade(t *testing.T) (*pgxpool.Pool, *runtime.Processor) {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), stacktest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	processor := runtime.NewProcessor(trade.New(), pool, runtime.Limits{Drain: 100, Parked: 100, DeadLetters: 100},
		slog.New(slog.DiscardHandler), func(outbox.Claim) {})
	return pool, processor
}

// Two operators skip a gap, and its producer closes it, all at once: one of them
// has its way, and the stream is whole.
func TestSkipAgainstTheEventItself(t *testing.T) {
	t.Parallel()
	pool, processor := newTrade(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	process := func(events ...event.Received) error {
		_, err := processor.Process(ctx, events)
		return err
	}
	skipped, came := 0, 0
	for gap := int64(1); gap < 60; gap += 3 { // gap, then two that are parked behind it
		if err := process(executed(gap+1), executed(gap+2)); err != nil {
			t.Fatal(err)
		}
		refused := make([]bool, 2)
		var group errgroup.Group
		for n := range 2 {
			group.Go(func() error {
				_, err := streams.Skip(ctx, pool, name, streams.Range{From: gap, To: gap}, operations.Operator{Who: "ann", Why: "lost"})
				if _, is := errors.AsType[*streams.RefusalError](err); is {
					refused[n], err = true, nil
				}
				return err
			})
		}
		group.Go(func() error { return process(executed(gap)) })
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		if err := processor.Drain(ctx, outbox.Stream{TenantID: name.TenantID, Subject: name.Subject, Source: name.Source}); err != nil {
			t.Fatal(err)
		}
		switch {
		case refused[0] && refused[1]:
			came++
		case refused[0] != refused[1]:
			skipped++
		default:
			t.Errorf("%d was skipped twice", gap)
		}
		w, err := streams.Get(ctx, pool, name)
		if err != nil || w.Position != gap+2 || w.Parked != 0 || len(w.Waiting) != 0 {
			t.Fatalf("after %d: %+v, error %v", gap, w, err)
		}
	}
	var operations, dead, decided int
	const query = `SELECT (SELECT count(*) FROM millrace.operations), (SELECT count(*) FROM millrace.dead_letters WHERE reason = 'sequence-reused'), (SELECT count(*) FROM millrace.audit)`
	if err := pool.QueryRow(ctx, query).Scan(&operations, &dead, &decided); err != nil {
		t.Fatal(err)
	}
	if operations != skipped || dead != skipped || decided != 40+came {
		t.Errorf("%d skipped and %d came: %d operations, %d dead letters, %d decided", skipped, came, operations, dead, decided)
	}
}

// Between a skip and its drain nothing is missing, and nobody is told to skip.
func TestMoveWhileItDrains(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), stacktest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if _, err := streams.Get(t.Context(), pool, name); !errors.Is(err, streams.ErrNone) {
		t.Errorf("no stream: error %v", err)
	}
	processor := runtime.NewProcessor(trade.New(), pool, runtime.Limits{Drain: 100, Parked: 100, DeadLetters: 100},
		slog.New(slog.DiscardHandler), func(outbox.Claim) {})
	if _, err := processor.Process(t.Context(), []event.Received{executed(3), executed(4)}); err != nil {
		t.Fatal(err)
	}
	by := operations.Operator{Who: "ann", Why: "lost"}
	if _, err := streams.Skip(t.Context(), pool, name, streams.Range{From: 1, To: 2}, by); err != nil {
		t.Fatal(err)
	}
	const want = "nothing of the stream of /desk about acme/trade/a is missing: it is decided up to 2, and what is ready of 2 parked is being drained"
	_, errAdopt := streams.Adopt(t.Context(), pool, name, 9, by)
	_, errSkip := streams.Skip(t.Context(), pool, name, streams.Range{From: 3, To: 3}, by)
	for _, err := range []error{errAdopt, errSkip} {
		if err == nil || err.Error() != want {
			t.Errorf("error %v", err)
		}
	}
}
