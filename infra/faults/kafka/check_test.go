package kafka_test

import (
	"context"
	"slices"
	"testing"

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
