package kafka_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/infra/invariants"
	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/shared/function"
)

// deps is the whole world for the check of invariants.
func (w *world) deps() invariants.Deps {
	groups := map[string]string{}
	for _, name := range families {
		groups[topics.Events(name)] = platform.ConsumerGroup(name)
	}
	definitions := slices.DeleteFunc(functions.All(), func(fn function.Definition) bool {
		return !slices.Contains(families, fn.FunctionName())
	})
	return invariants.Deps{
		Pool: w.pool, Redis: w.redis, Brokers: w.cluster.Addresses(),
		Functions: definitions, ConsumerGroups: groups, Sent: slices.Values(w.sent),
	}
}

// holds waits for rest and checks the invariants.
func (w *world) holds(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := invariants.Settle(ctx, w.deps()); err != nil {
		t.Fatal(err)
	}
	report, err := invariants.Check(ctx, w.deps())
	if err != nil {
		t.Fatal(err)
	}
	t.Log(report.String())
	if !report.Holds() {
		t.Error("an invariant is broken")
	}
}

// eventually looks again and again until it is so, and fails the test when that
// takes too long.
func eventually(t *testing.T, what string, so func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !so(ctx) {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}
