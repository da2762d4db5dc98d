package trade

import (
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
)

const (
	columns = `
    t.tenant_id, t.account, t.source, t.id, t.instrument, t.side, t.quantity::text, t.price::text, t.currency,
    t.fee::text, t.state, t.executed_at, t.fill, t.entry, t.booked, t.version`

	// Whatever month they were executed in, which the event does not say: it
	// looks into the index of every month. Amendments are rare.
	selectNamed = `
SELECT` + columns + `
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS batch (tenant_id, account, source, id)
CROSS JOIN LATERAL (
    SELECT *
    FROM millrace.trades AS t
    WHERE t.tenant_id = batch.tenant_id AND t.account = batch.account AND t.source = batch.source AND t.id >= batch.id
    ORDER BY t.id -- which only the index of names has: while the table is young, another looks as good
    LIMIT 1
) AS t
WHERE t.id = batch.id`

	selectLast = `
SELECT` + columns + `
FROM unnest($1::text[], $2::text[]) AS batch (tenant_id, account)
CROSS JOIN LATERAL (
    SELECT *
    FROM millrace.trades AS t
    WHERE t.tenant_id = batch.tenant_id AND t.account = batch.account
    ORDER BY t.booked DESC
    LIMIT $3
) AS t`

	selectAll = `
SELECT` + columns + `
FROM unnest($1::text[], $2::text[]) AS batch (tenant_id, account)
JOIN millrace.trades AS t ON t.tenant_id = batch.tenant_id AND t.account = batch.account`

	insertTrades = `
INSERT INTO millrace.trades (month, tenant_id, account, source, id, instrument, side, quantity, price, currency,
                             fee, state, executed_at, fill, entry, booked, version)
SELECT month, tenant_id, account, source, id, instrument, side, quantity::numeric, price::numeric, currency,
       fee::numeric, state, executed_at, fill, entry, booked, version
FROM unnest($1::date[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::text[], $10::text[], $11::text[], $12::text[], $13::timestamptz[], $14::text[], $15::text[],
            $16::bigint[], $17::bigint[])
  AS batch (month, tenant_id, account, source, id, instrument, side, quantity, price, currency, fee, state,
            executed_at, fill, entry, booked, version)`

	// What each index has is given, so that any of them finds the row at once.
	updateTrades = `
UPDATE millrace.trades AS t
SET quantity = batch.quantity::numeric, price = batch.price::numeric, fee = batch.fee::numeric,
    state = batch.state, entry = batch.entry, version = batch.version
FROM unnest($1::date[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::text[], $10::text[], $11::bigint[], $12::bigint[])
  AS batch (month, tenant_id, account, source, id, quantity, price, fee, state, entry, version, booked)
WHERE t.month = batch.month AND t.tenant_id = batch.tenant_id AND t.account = batch.account
  AND t.source = batch.source AND t.id = batch.id AND t.booked = batch.booked`
)

// load reads the trades that are to be amended or cancelled.
func load(b *pgx.Batch, accounts []*function.Entity[Account]) {
	tenants, subjects, sources, ids := function.Named(accounts, func(p function.Pending) (function.Name, bool) {
		id := refersTo(p.Payload)
		return function.Name{Source: p.Source, ID: id}, id != ""
	})
	if len(ids) > 0 {
		b.Queue(selectNamed, tenants, subjects, sources, ids).Query(scanInto(accounts))
	}
}

func refersTo(payload any) string {
	switch p := payload.(type) {
	case AmendedV1:
		return p.Trade
	case CancelledV1:
		return p.Trade
	}
	return ""
}

// loadViews reads the trades that a list remembers: see views.Recent.
func loadViews(b *pgx.Batch, accounts []*function.Entity[Account]) {
	tenants, subjects := function.Keys(accounts)
	b.Queue(selectLast, tenants, subjects, 2*shown).Query(scanInto(accounts))
}

func loadAll(b *pgx.Batch, accounts []*function.Entity[Account]) {
	tenants, subjects := function.Keys(accounts)
	b.Queue(selectAll, tenants, subjects).Query(scanInto(accounts))
}

func scanInto(accounts []*function.Entity[Account]) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		index := function.IndexOf(accounts)
		for rows.Next() {
			var tenant, account string
			var name function.Name
			t := &Trade{stored: true}
			err := rows.Scan(&tenant, &account, &name.Source, &name.ID, &t.Instrument, &t.Side, &t.Quantity,
				&t.Price, &t.Currency, &t.Fee, &t.State, &t.Time, &t.Fill, &t.Entry, &t.Booked, &t.Version)
			if err != nil {
				return err
			}
			t.Time = t.Time.UTC()
			index.State(tenant, account).add(name, t)
		}
		return rows.Err()
	}
}

// row is a trade with what names it.
type row struct {
	tenant, account string
	function.Name
	*Trade
}

// save writes new trades, and what became of old ones. It knows both by what
// the rules marked, since the runtime saves a state once.
func save(b *pgx.Batch, accounts []*function.Entity[Account]) {
	var added, updated []row
	for _, e := range accounts {
		for name, t := range e.State.Trades {
			switch r := (row{e.TenantID, e.Subject, name, t}); {
			case !t.stored:
				added = append(added, r)
			case t.changed:
				updated = append(updated, r)
			}
		}
	}
	if len(added) > 0 {
		queueInsert(b, added)
	}
	if len(updated) > 0 {
		queueUpdate(b, updated)
	}
}

func queueInsert(b *pgx.Batch, rows []row) {
	b.Queue(insertTrades,
		function.Column(rows, func(r row) time.Time { return event.MonthOf(r.Time) }),
		function.Column(rows, func(r row) string { return r.tenant }),
		function.Column(rows, func(r row) string { return r.account }),
		function.Column(rows, func(r row) string { return r.Source }),
		function.Column(rows, func(r row) string { return r.ID }),
		function.Column(rows, func(r row) string { return r.Instrument }),
		function.Column(rows, func(r row) string { return string(r.Side) }),
		function.Column(rows, func(r row) string { return r.Quantity.String() }),
		function.Column(rows, func(r row) string { return r.Price.String() }),
		function.Column(rows, func(r row) string { return string(r.Currency) }),
		function.Column(rows, func(r row) string { return r.Fee.String() }),
		function.Column(rows, func(r row) string { return string(r.State) }),
		function.Column(rows, func(r row) time.Time { return r.Time }),
		function.Column(rows, func(r row) string { return r.Fill }),
		function.Column(rows, func(r row) string { return r.Entry }),
		function.Column(rows, func(r row) int64 { return r.Booked }),
		function.Column(rows, func(r row) int64 { return r.Version }),
	)
}

func queueUpdate(b *pgx.Batch, rows []row) {
	b.Queue(updateTrades,
		function.Column(rows, func(r row) time.Time { return event.MonthOf(r.Time) }),
		function.Column(rows, func(r row) string { return r.tenant }),
		function.Column(rows, func(r row) string { return r.account }),
		function.Column(rows, func(r row) string { return r.Source }),
		function.Column(rows, func(r row) string { return r.ID }),
		function.Column(rows, func(r row) string { return r.Quantity.String() }),
		function.Column(rows, func(r row) string { return r.Price.String() }),
		function.Column(rows, func(r row) string { return r.Fee.String() }),
		function.Column(rows, func(r row) string { return string(r.State) }),
		function.Column(rows, func(r row) string { return r.Entry }),
		function.Column(rows, func(r row) int64 { return r.Version }),
		function.Column(rows, func(r row) int64 { return r.Booked }),
	)
}
