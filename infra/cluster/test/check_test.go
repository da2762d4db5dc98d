package test_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	families "github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/infra/invariants"
	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/infra/traffic"
	"github.com/millrace/millrace/shared/function"
)

// toRest holds two runs of the sweeper, which wakes once a minute for what killed
// pods left.
const toRest = 5 * time.Minute

// deps are all that was ever sent to the cluster, and what came of it.
func (w *world) deps() invariants.Deps {
	groups := map[string]string{}
	for _, name := range functions() {
		groups[topics.Events(name)] = platform.ConsumerGroup(name)
	}
	return invariants.Deps{Pool: w.pool, Redis: w.redis, Brokers: w.brokers, Functions: families.All(), ConsumerGroups: groups}
}

// settle returns when nothing is on its way any more.
func (w *world) settle(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), toRest)
	defer cancel()
	began := time.Now()
	if err := invariants.Settle(ctx, w.deps()); err != nil {
		t.Fatal(err)
	}
	if err := invariants.AwaitViews(ctx, w.deps()); err != nil {
		t.Fatal(err)
	}
	t.Logf("nothing is on its way any more: after %s", time.Since(began).Round(10*time.Millisecond))
}

// check holds all invariants, once all is at rest, and that what was sent has come
// to something.
func (w *world) check(t *testing.T, sent []traffic.Record) {
	t.Helper()
	w.settle(t)
	deps := w.deps()
	deps.Sent = identities(sent)
	report, err := invariants.Check(t.Context(), deps)
	if err != nil {
		t.Fatal(err)
	}
	if !report.Holds() {
		t.Error(report.String())
	}
	t.Log(report.String())
}

func identities(sent []traffic.Record) iter.Seq[invariants.Sent] {
	return func(yield func(invariants.Sent) bool) {
		for _, r := range sent {
			if !yield(invariants.Sent{TenantID: r.Event.TenantID, Source: r.Event.Source, ID: r.Event.ID}) {
				return
			}
		}
	}
}

const findDecided = `
SELECT batch.n
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[]) AS batch (n, tenant_id, source, id)
JOIN millrace.seen AS s ON s.tenant_id = batch.tenant_id AND s.source = batch.source AND s.id = batch.id
ORDER BY batch.n`

// undecided are those of the records whose events have had no effect yet.
func (w *world) undecided(ctx context.Context, sent []traffic.Record) ([]traffic.Record, error) {
	ns := make([]int32, len(sent))
	for n := range sent {
		ns[n] = int32(n)
	}
	rows, err := w.pool.Query(ctx, findDecided, ns,
		function.Column(sent, func(r traffic.Record) string { return r.Event.TenantID }),
		function.Column(sent, func(r traffic.Record) string { return r.Event.Source }),
		function.Column(sent, func(r traffic.Record) string { return r.Event.ID }))
	if err != nil {
		return nil, err
	}
	decided, err := pgx.CollectRows(rows, pgx.RowTo[int])
	left := slices.Clone(sent)
	for _, n := range slices.Backward(decided) {
		left = slices.Delete(left, n, n+1)
	}
	return left, err
}

// awaitDecided returns when all of the records' events have had their effect.
func (w *world) awaitDecided(t *testing.T, within time.Duration, sent []traffic.Record) {
	t.Helper()
	await(t, "every event is decided", within, func(ctx context.Context) (string, error) {
		left, err := w.undecided(ctx, sent)
		if len(left) == 0 || err != nil {
			return "", err
		}
		return fmt.Sprintf("%d of %d are not", len(left), len(sent)), nil
	})
}

const orderOfEffect = `
SELECT id FROM millrace.audit
WHERE tenant_id = $1 AND function = $2 AND subject = $3 AND id = ANY ($4)
ORDER BY version`

// checkOrder holds that what was sent about each entity has had its effects in
// that order, each once.
func (w *world) checkOrder(t *testing.T, sent []traffic.Record) {
	t.Helper()
	type entity struct{ tenant, function, subject string }
	ids := map[entity][]string{}
	for _, r := range sent {
		e := entity{r.Event.TenantID, r.Event.Function(), r.Event.Subject}
		ids[e] = append(ids[e], r.Event.ID)
	}
	for e, want := range ids {
		rows, err := w.pool.Query(t.Context(), orderOfEffect, e.tenant, e.function, e.subject, want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v: effects of %q, sent were %q", e, got, want)
		}
	}
	t.Logf("%d entities: %d events in order, each once", len(ids), len(sent))
}
