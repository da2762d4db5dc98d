package e2e_test

import (
	"maps"
	"math/big"
	"slices"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"
)

// compare holds the database against the model, one key after the other.
func (m *model) compare(t *testing.T, w *world) {
	t.Helper()
	const outcomes = `
SELECT concat_ws(' | ', tenant_id, source, id), outcome
FROM millrace.seen
WHERE NOT starts_with(source, '/millrace/') AND tenant_id = ANY ($1)`
	got := w.read(t, outcomes)
	for key, want := range m.outcomes {
		if want == either && got[key] != "" {
			got[key] = either
		}
	}
	same(t, "outcome of", got, m.outcomes)

	const holdings = `
SELECT concat_ws(' | ', tenant_id, account, instrument),
       concat_ws(' ', trim_scale(quantity), trim_scale(cost - realised), live)
FROM millrace.positions
WHERE tenant_id = ANY ($1)`
	want := map[string]string{}
	for key, h := range m.holdings {
		want[key] = decimal(h.quantity) + " " + decimal(h.paid) + " " + strconv.Itoa(h.live)
	}
	same(t, "quantity, cost less profit, and live fills of", w.read(t, holdings), want)

	const balances = `
SELECT concat_ws(' | ', tenant_id, account, currency), trim_scale(amount)::text
FROM millrace.balances
WHERE tenant_id = ANY ($1)`
	want = map[string]string{}
	for key, amount := range m.balances {
		want[key] = decimal(amount)
	}
	same(t, "balance of", w.read(t, balances), want)

	const emitted = `SELECT '', count(*)::text FROM millrace.seen WHERE starts_with(source, '/millrace/') AND tenant_id = ANY ($1)`
	same(t, "emitted events decided", w.read(t, emitted), map[string]string{"": strconv.Itoa(m.emitted)})
}

func (w *world) read(t *testing.T, query string) map[string]string {
	t.Helper()
	rows, err := w.pool.Query(t.Context(), query, slices.Concat(tenants, centreTenants))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	var key, value string
	if _, err := pgx.ForEachRow(rows, []any{&key, &value}, func() error {
		got[key] = value
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

func same(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	const few = 10
	wrong := 0
	all := maps.Clone(want)
	maps.Copy(all, got)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		g, w := got[key], want[key]
		if g == w {
			continue
		}
		if wrong++; wrong <= few {
			t.Errorf("%s %s: it is %q, the model has %q", what, key, g, w)
		}
	}
	if wrong > few {
		t.Errorf("%s: %d more are wrong", what, wrong-few)
	}
}

// decimal writes a fraction whose denominator is a power of ten as PostgreSQL
// does without trailing zeros.
func decimal(n *big.Rat) string {
	digits, exact := n.FloatPrec()
	if !exact {
		panic("no decimal: " + n.String())
	}
	return n.FloatString(digits)
}
