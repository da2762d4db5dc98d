package position

import (
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/money"
)

const (
	upsertPositions = `
INSERT INTO millrace.positions (tenant_id, account, instrument, currency, former_currencies, quantity, cost, realised,
                                booked, live, version)
SELECT tenant_id, account, instrument, currency, string_to_array(former_currencies, ','), quantity::numeric,
       cost::numeric, realised::numeric, booked, live, version
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::bigint[], $10::bigint[], $11::bigint[])
  AS batch (tenant_id, account, instrument, currency, former_currencies, quantity, cost, realised, booked, live,
            version)
ON CONFLICT (tenant_id, account, instrument)
DO UPDATE SET currency = excluded.currency, former_currencies = excluded.former_currencies,
              quantity = excluded.quantity, cost = excluded.cost, realised = excluded.realised,
              booked = excluded.booked, live = excluded.live, version = excluded.version`

	insertFills = `
INSERT INTO millrace.fills (month, tenant_id, account, instrument, n, source, id, side, quantity, price, currency,
                            state, filled_at, quantity_after, cost_after, realised_after)
SELECT month, tenant_id, account, instrument, n, source, id, side, quantity::numeric, price::numeric, currency,
       state, filled_at, quantity_after::numeric, cost_after::numeric, realised_after::numeric
FROM unnest($1::date[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[],
            $9::text[], $10::text[], $11::text[], $12::text[], $13::timestamptz[], $14::text[], $15::text[],
            $16::text[])
  AS batch (month, tenant_id, account, instrument, n, source, id, side, quantity, price, currency, state, filled_at,
            quantity_after, cost_after, realised_after)`

	// What each index has is given, so that any of them finds the row at once.
	updateFills = `
UPDATE millrace.fills AS f
SET quantity = batch.quantity::numeric, price = batch.price::numeric, state = batch.state,
    quantity_after = batch.quantity_after::numeric, cost_after = batch.cost_after::numeric,
    realised_after = batch.realised_after::numeric
FROM unnest($1::date[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[],
            $9::text[], $10::text[], $11::text[], $12::text[], $13::text[])
  AS batch (month, tenant_id, account, instrument, n, source, id, quantity, price, state, quantity_after, cost_after,
            realised_after)
WHERE f.month = batch.month AND f.tenant_id = batch.tenant_id AND f.account = batch.account
  AND f.instrument = batch.instrument AND f.n = batch.n AND f.source = batch.source AND f.id = batch.id`
)

// positionRow is a position with what names it.
type positionRow struct {
	tenant, account, instrument string
	*Position
}

// fillRow is a fill with what names it.
type fillRow struct {
	tenant, account string
	*Fill
}

func save(b *pgx.Batch, accounts []*function.Entity[Account]) {
	var positions []positionRow
	var added, updated []fillRow
	for _, e := range accounts {
		for instrument, p := range e.State.Positions {
			if !p.changed {
				continue
			}
			positions = append(positions, positionRow{e.TenantID, e.Subject, instrument, p})
			for _, f := range p.Fills {
				switch r := (fillRow{e.TenantID, e.Subject, f}); {
				case !f.stored:
					added = append(added, r)
				case f.changed:
					updated = append(updated, r)
				}
			}
		}
	}
	if len(positions) > 0 {
		queuePositions(b, positions)
	}
	if len(added) > 0 {
		queueInsert(b, added)
	}
	if len(updated) > 0 {
		queueUpdate(b, updated)
	}
}

func queuePositions(b *pgx.Batch, rows []positionRow) {
	b.Queue(upsertPositions,
		function.Column(rows, func(r positionRow) string { return r.tenant }),
		function.Column(rows, func(r positionRow) string { return r.account }),
		function.Column(rows, func(r positionRow) string { return r.instrument }),
		function.Column(rows, func(r positionRow) string { return string(r.Currency) }),
		function.Column(rows, func(r positionRow) string { return join(r.FormerCurrencies) }),
		function.Column(rows, func(r positionRow) string { return r.Quantity.String() }),
		function.Column(rows, func(r positionRow) string { return r.Cost.String() }),
		function.Column(rows, func(r positionRow) string { return r.Realised.String() }),
		function.Column(rows, func(r positionRow) int64 { return r.Booked }),
		function.Column(rows, func(r positionRow) int64 { return r.Live }),
		function.Column(rows, func(r positionRow) int64 { return r.Version }),
	)
}

// join makes one text of currencies, since unnest takes nested arrays apart.
func join(currencies []money.Currency) string {
	return strings.Join(function.Column(currencies, func(c money.Currency) string { return string(c) }), ",")
}

func queueInsert(b *pgx.Batch, rows []fillRow) {
	b.Queue(insertFills,
		function.Column(rows, func(r fillRow) time.Time { return event.MonthOf(r.Time) }),
		function.Column(rows, func(r fillRow) string { return r.tenant }),
		function.Column(rows, func(r fillRow) string { return r.account }),
		function.Column(rows, func(r fillRow) string { return r.Instrument }),
		function.Column(rows, func(r fillRow) int64 { return r.N }),
		function.Column(rows, func(r fillRow) string { return r.Name.Source }),
		function.Column(rows, func(r fillRow) string { return r.Name.ID }),
		function.Column(rows, func(r fillRow) string { return string(r.Side) }),
		function.Column(rows, func(r fillRow) string { return r.Quantity.String() }),
		function.Column(rows, func(r fillRow) string { return r.Price.String() }),
		function.Column(rows, func(r fillRow) string { return string(r.Currency) }),
		function.Column(rows, func(r fillRow) string { return string(r.State) }),
		function.Column(rows, func(r fillRow) time.Time { return r.Time }),
		function.Column(rows, func(r fillRow) string { return r.After.Quantity.String() }),
		function.Column(rows, func(r fillRow) string { return r.After.Cost.String() }),
		function.Column(rows, func(r fillRow) string { return r.After.Realised.String() }),
	)
}

func queueUpdate(b *pgx.Batch, rows []fillRow) {
	b.Queue(updateFills,
		function.Column(rows, func(r fillRow) time.Time { return event.MonthOf(r.Time) }),
		function.Column(rows, func(r fillRow) string { return r.tenant }),
		function.Column(rows, func(r fillRow) string { return r.account }),
		function.Column(rows, func(r fillRow) string { return r.Instrument }),
		function.Column(rows, func(r fillRow) int64 { return r.N }),
		function.Column(rows, func(r fillRow) string { return r.Name.Source }),
		function.Column(rows, func(r fillRow) string { return r.Name.ID }),
		function.Column(rows, func(r fillRow) string { return r.Quantity.String() }),
		function.Column(rows, func(r fillRow) string { return r.Price.String() }),
		function.Column(rows, func(r fillRow) string { return string(r.State) }),
		function.Column(rows, func(r fillRow) string { return r.After.Quantity.String() }),
		function.Column(rows, func(r fillRow) string { return r.After.Cost.String() }),
		function.Column(rows, func(r fillRow) string { return r.After.Realised.String() }),
	)
}
