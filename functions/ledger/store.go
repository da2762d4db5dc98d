package ledger

import (
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/money"
)

const (
	columns = `
    e.tenant_id, e.journal, e.source, e.id, e.version, e.description, e.posted_at,
    coalesce(e.reverses, ''), coalesce(e.reversed_by, ''), p.accounts, p.currencies, p.amounts`

	joinPostings = `
CROSS JOIN LATERAL (
    SELECT array_agg(account ORDER BY line) AS accounts,
           array_agg(currency ORDER BY line) AS currencies,
           array_agg(amount::text ORDER BY line) AS amounts
    FROM millrace.postings AS p
    WHERE p.month = e.month AND p.tenant_id = e.tenant_id AND p.journal = e.journal AND p.version = e.version
) AS p`

	// Whatever month they were posted in, which the event does not say: it
	// looks into the index of every month. Reversals are rare.
	selectNamed = `
SELECT` + columns + `
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS batch (tenant_id, journal, source, id)
CROSS JOIN LATERAL (
    SELECT *
    FROM millrace.entries AS e
    WHERE e.tenant_id = batch.tenant_id AND e.journal = batch.journal AND e.source = batch.source AND e.id >= batch.id
    ORDER BY e.id -- which only the index of names has: while the table is young, another looks as good
    LIMIT 1
) AS e` +
		joinPostings + `
WHERE e.id = batch.id`

	selectAll = `
SELECT` + columns + `
FROM unnest($1::text[], $2::text[]) AS batch (tenant_id, journal)
JOIN millrace.entries AS e ON e.tenant_id = batch.tenant_id AND e.journal = batch.journal` +
		joinPostings

	insertEntries = `
INSERT INTO millrace.entries (month, tenant_id, journal, version, source, id, description, lines, reverses,
                              reversed_by, posted_at)
SELECT month, tenant_id, journal, version, source, id, description, lines, nullif(reverses, ''),
       nullif(reversed_by, ''), posted_at
FROM unnest($1::date[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::smallint[],
            $9::text[], $10::text[], $11::timestamptz[])
  AS batch (month, tenant_id, journal, version, source, id, description, lines, reverses, reversed_by, posted_at)`

	// After the entries: the database holds each entry's postings to it.
	insertPostings = `
INSERT INTO millrace.postings (month, tenant_id, journal, version, line, account, currency, amount)
SELECT month, tenant_id, journal, version, line, account, currency, amount::numeric
FROM unnest($1::date[], $2::text[], $3::text[], $4::bigint[], $5::smallint[], $6::text[], $7::text[], $8::text[])
  AS batch (month, tenant_id, journal, version, line, account, currency, amount)`

	// What each index has is given, so that any of them finds the row at once.
	markReversed = `
UPDATE millrace.entries AS e
SET reversed_by = batch.reversed_by
FROM unnest($1::date[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[])
  AS batch (month, tenant_id, journal, version, source, id, reversed_by)
WHERE e.month = batch.month AND e.tenant_id = batch.tenant_id AND e.journal = batch.journal
  AND e.version = batch.version AND e.source = batch.source AND e.id = batch.id`
)

// load reads the entries that are to be reversed.
func load(b *pgx.Batch, journals []*function.Entity[Journal]) {
	tenants, subjects, sources, ids := function.Named(journals, func(p function.Pending) (function.Name, bool) {
		r, ok := p.Payload.(ReversedV1)
		return function.Name{Source: p.Source, ID: r.Entry}, ok
	})
	if len(ids) > 0 {
		b.Queue(selectNamed, tenants, subjects, sources, ids).Query(scanInto(journals))
	}
}

func loadAll(b *pgx.Batch, journals []*function.Entity[Journal]) {
	tenants, subjects := function.Keys(journals)
	b.Queue(selectAll, tenants, subjects).Query(scanInto(journals))
}

func scanInto(journals []*function.Entity[Journal]) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		index := function.IndexOf(journals)
		for rows.Next() {
			var tenant, journal string
			var name function.Name
			var accounts, currencies, amounts []string
			e := &Entry{stored: true}
			err := rows.Scan(&tenant, &journal, &name.Source, &name.ID, &e.Version, &e.Description, &e.Time,
				&e.Reverses, &e.ReversedBy, &accounts, &currencies, &amounts)
			if err != nil {
				return err
			}
			e.Time = e.Time.UTC()
			if e.Postings, err = zip(accounts, currencies, amounts); err != nil {
				return err
			}
			index.State(tenant, journal).add(name, e)
		}
		return rows.Err()
	}
}

func zip(accounts, currencies, amounts []string) ([]Posting, error) {
	postings := make([]Posting, len(amounts))
	for i := range postings {
		postings[i].Account, postings[i].Currency = accounts[i], money.Currency(currencies[i])
		if err := postings[i].Amount.Scan(amounts[i]); err != nil {
			return nil, err
		}
	}
	return postings, nil
}

// row is an entry with what names it.
type row struct {
	tenant, journal string
	function.Name
	*Entry
}

// lineRow is the line of a row's entry, counted from 0.
type lineRow struct {
	row
	line int
}

func save(b *pgx.Batch, journals []*function.Entity[Journal]) {
	var added, reversed []row
	for _, e := range journals {
		for name, entry := range e.State.Entries {
			switch r := (row{e.TenantID, e.Subject, name, entry}); {
			case !entry.stored:
				added = append(added, r)
			case entry.changed:
				reversed = append(reversed, r)
			}
		}
	}
	if len(added) > 0 {
		queueInsert(b, added)
	}
	if len(reversed) > 0 {
		b.Queue(markReversed,
			function.Column(reversed, func(r row) time.Time { return event.MonthOf(r.Time) }),
			function.Column(reversed, func(r row) string { return r.tenant }),
			function.Column(reversed, func(r row) string { return r.journal }),
			function.Column(reversed, func(r row) int64 { return r.Version }),
			function.Column(reversed, func(r row) string { return r.Source }),
			function.Column(reversed, func(r row) string { return r.ID }),
			function.Column(reversed, func(r row) string { return r.ReversedBy }),
		)
	}
}

func queueInsert(b *pgx.Batch, rows []row) {
	b.Queue(insertEntries,
		function.Column(rows, func(r row) time.Time { return event.MonthOf(r.Time) }),
		function.Column(rows, func(r row) string { return r.tenant }),
		function.Column(rows, func(r row) string { return r.journal }),
		function.Column(rows, func(r row) int64 { return r.Version }),
		function.Column(rows, func(r row) string { return r.Source }),
		function.Column(rows, func(r row) string { return r.ID }),
		function.Column(rows, func(r row) string { return r.Description }),
		function.Column(rows, func(r row) int16 { return int16(len(r.Postings)) }), // at most maxPostings
		function.Column(rows, func(r row) string { return r.Reverses }),
		function.Column(rows, func(r row) string { return r.ReversedBy }),
		function.Column(rows, func(r row) time.Time { return r.Time }),
	)
	var lines []lineRow
	for _, r := range rows {
		for i := range r.Postings {
			lines = append(lines, lineRow{r, i})
		}
	}
	b.Queue(insertPostings,
		function.Column(lines, func(r lineRow) time.Time { return event.MonthOf(r.Time) }),
		function.Column(lines, func(r lineRow) string { return r.tenant }),
		function.Column(lines, func(r lineRow) string { return r.journal }),
		function.Column(lines, func(r lineRow) int64 { return r.Version }),
		function.Column(lines, func(r lineRow) int16 { return int16(r.line + 1) }),
		function.Column(lines, func(r lineRow) string { return r.Postings[r.line].Account }),
		function.Column(lines, func(r lineRow) string { return string(r.Postings[r.line].Currency) }),
		function.Column(lines, func(r lineRow) string { return r.Postings[r.line].Amount.String() }),
	)
}
