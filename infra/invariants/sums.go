package invariants

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/money"
)

const readSums = `
SELECT name, key, field, sum(value)::text, sum(version)::bigint
FROM millrace.aggregates
WHERE function = $1 AND tenant_id = $2
GROUP BY name, key, field`

// sums are the aggregates of a function, as folding all its entities gives them.
// While functions work, those are compared that nothing was added to since before
// the fold began: what made them is in the snapshot of every page.
type sums struct {
	*check
	fn      function.Definition
	tenants map[string]*tenantSums // none: not all entities are folded
}

type tenantSums struct {
	before map[sumName]sumRow
	folded map[sumName]money.Decimal
	// unsound says that an entity could not be folded to its end: that is said
	// once, and not what follows from it.
	unsound bool
}

type sumName struct{ name, key, field string }

type sumRow struct {
	value   money.Decimal
	version int64
}

// newSums reads how far the aggregates are before the fold.
func (c *check) newSums(ctx context.Context, fn function.Definition) (*sums, error) {
	s := &sums{check: c, fn: fn, tenants: map[string]*tenantSums{}}
	if !c.deps.Scope.whole() {
		return s, nil
	}
	tenants, err := c.tenants(ctx)
	if err != nil {
		return nil, err
	}
	for _, tenant := range tenants {
		before, err := s.read(ctx, tenant)
		if err != nil {
			return nil, err
		}
		s.tenants[tenant] = &tenantSums{before: before, folded: map[sumName]money.Decimal{}}
	}
	return s, nil
}

func (s *sums) read(ctx context.Context, tenant string) (map[sumName]sumRow, error) {
	rows, err := s.deps.Pool.Query(ctx, readSums, s.fn.FunctionName(), tenant)
	if err != nil {
		return nil, err
	}
	all := map[sumName]sumRow{}
	var of sumName
	var row sumRow
	_, err = pgx.ForEachRow(rows, []any{&of.name, &of.key, &of.field, &row.value, &row.version}, func() error {
		all[of] = row
		return nil
	})
	return all, err
}

// add adds what a decision adds.
func (s *sums) add(deltas []function.Delta) {
	for _, d := range deltas {
		if of := s.tenants[d.TenantID]; of != nil {
			name := sumName{d.Name, d.Key, d.Field}
			of.folded[name] = of.folded[name].Add(d.Amount)
		}
	}
}

// leave notes that an entity could not be folded to its end.
func (s *sums) leave(tenant string) {
	if of := s.tenants[tenant]; of != nil {
		of.unsound = true
	}
}

// compare compares the tables with the fold, when that is over.
func (s *sums) compare(ctx context.Context) error {
	for _, tenant := range slices.Sorted(maps.Keys(s.tenants)) {
		of := s.tenants[tenant]
		if of.unsound {
			continue
		}
		stored, err := s.read(ctx, tenant)
		if err != nil {
			return err
		}
		all := maps.Clone(of.folded)
		for name := range stored {
			all[name] = of.folded[name]
		}
		for _, name := range slices.SortedFunc(maps.Keys(all), compareSumNames) {
			is, should := stored[name], of.folded[name]
			switch {
			case is.version != of.before[name].version:
				s.report.Checked.Moved++
			case is.value.Cmp(should) != 0:
				where := "millrace.aggregates " + s.fn.FunctionName() + " " + name.name + " " + tenant + "/" + name.key + " " + name.field
				s.differs("I7", "sums that are not what the fold gives", Row{Where: where, Is: is.value.String(), Should: should.String()})
			}
		}
	}
	return nil
}

func compareSumNames(a, b sumName) int {
	return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.key, b.key), cmp.Compare(a.field, b.field))
}
