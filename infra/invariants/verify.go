package invariants

import (
	"context"
	"fmt"
	"slices"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
)

// Progress says how far a check is.
type Progress struct {
	Doing       string
	Done, Total int64 // entities, each of them once for every time that it is looked at
}

// Verify says where the tables and Redis are not what the audit log gives: the
// part of [Check] that needs no Kafka, within deps.Scope. It may run at any time.
// It uses Pool, Redis, Functions, Scope, Patience, Rows, Progress and Audit.
//
// Redis may be nil: then only the tables are compared.
func Verify(ctx context.Context, deps Deps) (Report, error) {
	deps.Live = true
	if name := deps.Scope.Function; name != "" {
		deps.Functions = slices.DeleteFunc(slices.Clone(deps.Functions), func(fn function.Definition) bool { return fn.FunctionName() != name })
	}
	c := newCheck(deps)
	entities, err := c.count(ctx)
	if err != nil {
		return c.report, fmt.Errorf("verifying: counting the entities: %w", err)
	}
	if c.total = entities; deps.Redis != nil {
		c.total *= 2
	}
	if err := c.countMissing(ctx); err != nil {
		return c.report, fmt.Errorf("verifying: counting the entities: %w", err)
	}
	return c.run(ctx, "verifying", []part{
		{"folding the audit log", func(ctx context.Context) error {
			return c.checkFolds(ctx, func(context.Context, []*event.Event) error { return nil })
		}},
		{"querying the tables", c.verifyTables},
		{"comparing Redis", c.checkShown},
	})
}

// countMissing counts the entities that the audit log's database has, and the one
// that is compared with it has not: they are behind.
func (c *check) countMissing(ctx context.Context) error {
	if c.deps.Audit == nil {
		return nil
	}
	there := *c
	there.deps.Pool = c.deps.Audit
	all, err := there.count(ctx)
	c.report.Checked.Behind = int(max(0, all-c.total))
	return err
}

// verifyTables holds what is no entity's own to the tables: aggregates, and rows
// that no decision made.
func (c *check) verifyTables(ctx context.Context) error {
	if !c.deps.Scope.whole() || c.deps.Audit != nil {
		return nil
	}
	tenants, err := c.tenants(ctx)
	if err != nil {
		return err
	}
	for _, tenant := range tenants {
		for _, fn := range c.deps.Functions {
			c.progress("querying the tables of "+fn.FunctionName(), 0)
			if err := c.applyAll(ctx, factRules[fn.FunctionName()], tenant); err != nil {
				return err
			}
		}
	}
	return nil
}

// progress tells that so many more entities are done.
func (c *check) progress(doing string, done int) {
	c.done += int64(done)
	if c.deps.Progress != nil {
		c.deps.Progress(Progress{Doing: doing, Done: c.done, Total: c.total})
	}
}
