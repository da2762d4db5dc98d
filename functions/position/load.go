package position

import (
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/money"
)

const (
	positionColumns = `
    p.tenant_id, p.account, p.instrument, p.currency, array_to_string(p.former_currencies, ','), p.quantity::text,
    p.cost::text, p.realised::text, p.booked, p.live, p.version`

	fillColumns = `
    f.tenant_id, f.account, f.instrument, f.n, f.source, f.id, f.side, f.quantity::text, f.price::text, f.currency,
    f.state, f.filled_at, f.quantity_after::text, f.cost_after::text, f.realised_after::text`

	// The positions that fills are to be booked in.
	selectPositions = `
SELECT` + positionColumns + `
FROM unnest($1::text[], $2::text[], $3::text[]) AS batch (tenant_id, account, instrument)
CROSS JOIN LATERAL (
    SELECT *
    FROM millrace.positions AS p
    WHERE p.tenant_id = batch.tenant_id AND p.account = batch.account AND p.instrument = batch.instrument
    LIMIT 1 -- so that it looks into the index for each, even while the table is young
) AS p`

	// The fills that events name, and how deep they are down in their position.
	// The events do not say which month they were in: it looks into the index
	// of every month. Amendments are rare.
	withNamed = `
WITH named AS (
    SELECT f.*, p.booked - f.n AS depth
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS batch (tenant_id, account, source, id)
    CROSS JOIN LATERAL (
        SELECT *
        FROM millrace.fills AS f
        WHERE f.tenant_id = batch.tenant_id AND f.account = batch.account AND f.source = batch.source AND f.id >= batch.id
        ORDER BY f.id -- which only the index of names has: while the table is young, another looks as good
        FETCH FIRST ROW WITH TIES -- an event that is sent again after the horizon of deduplication is another fill
    ) AS f
    JOIN millrace.positions AS p
      ON p.tenant_id = f.tenant_id AND p.account = f.account AND p.instrument = f.instrument
    WHERE f.id = batch.id
)`

	selectNamedPositions = withNamed + `
SELECT` + positionColumns + `
FROM (SELECT DISTINCT tenant_id, account, instrument FROM named) AS f
JOIN millrace.positions AS p
  ON p.tenant_id = f.tenant_id AND p.account = f.account AND p.instrument = f.instrument`

	// Those too deep to be changed: the rules say so.
	selectTooDeep = withNamed + `
SELECT` + fillColumns + `
FROM named AS f
WHERE f.depth >= $5`

	// Of each position, the fills from the one before the first named, for the
	// holding after it.
	selectSuffixes = withNamed + `
SELECT` + fillColumns + `
FROM (
    SELECT tenant_id, account, instrument, min(n) AS n
    FROM named
    WHERE depth < $5
    GROUP BY tenant_id, account, instrument
) AS first
CROSS JOIN LATERAL (
    SELECT *
    FROM millrace.fills AS f
    WHERE f.tenant_id = first.tenant_id AND f.account = first.account AND f.instrument = first.instrument
      AND f.n >= first.n - 1
    ORDER BY f.n -- as above
) AS f
ORDER BY f.tenant_id, f.account, f.instrument, f.n`

	selectAllPositions = `
SELECT` + positionColumns + `
FROM unnest($1::text[], $2::text[]) AS batch (tenant_id, account)
JOIN millrace.positions AS p ON p.tenant_id = batch.tenant_id AND p.account = batch.account`

	selectAllFills = `
SELECT` + fillColumns + `
FROM unnest($1::text[], $2::text[]) AS batch (tenant_id, account)
JOIN millrace.fills AS f ON f.tenant_id = batch.tenant_id AND f.account = batch.account
ORDER BY f.tenant_id, f.account, f.instrument, f.n`
)

// load reads the positions that fills are booked in, and for amendments and
// cancellations all fills that have to be folded again.
func load(b *pgx.Batch, accounts []*function.Entity[Account]) {
	var booked, named references
	for _, e := range accounts {
		for _, p := range e.Pending {
			switch payload := p.Payload.(type) {
			case FillBookedV1:
				booked.add(e, "", payload.Instrument)
			case FillAmendedV1:
				named.add(e, p.Source, payload.Fill)
			case FillCancelledV1:
				named.add(e, p.Source, payload.Fill)
			}
		}
	}
	if len(booked.names) > 0 {
		b.Queue(selectPositions, booked.tenants, booked.accounts, booked.names).Query(scanPositions(accounts))
	}
	if r := named; len(r.names) > 0 {
		b.Queue(selectNamedPositions, r.tenants, r.accounts, r.sources, r.names).Query(scanPositions(accounts))
		b.Queue(selectTooDeep, r.tenants, r.accounts, r.sources, r.names, maxDepth).Query(scanTooDeep(accounts))
		b.Queue(selectSuffixes, r.tenants, r.accounts, r.sources, r.names, maxDepth).Query(scanFills(accounts))
	}
}

// references are columns of what events refer to: instruments, or the ids of
// fills.
type references struct{ tenants, accounts, sources, names []string }

func (r *references) add(e *function.Entity[Account], source, name string) {
	r.tenants, r.accounts = append(r.tenants, e.TenantID), append(r.accounts, e.Subject)
	r.sources, r.names = append(r.sources, source), append(r.names, name)
}

func loadPositions(b *pgx.Batch, accounts []*function.Entity[Account]) {
	tenants, subjects := function.Keys(accounts)
	b.Queue(selectAllPositions, tenants, subjects).Query(scanPositions(accounts))
}

func loadAll(b *pgx.Batch, accounts []*function.Entity[Account]) {
	loadPositions(b, accounts)
	tenants, subjects := function.Keys(accounts)
	b.Queue(selectAllFills, tenants, subjects).Query(scanFills(accounts))
}

func scanPositions(accounts []*function.Entity[Account]) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		index := function.IndexOf(accounts)
		for rows.Next() {
			var tenant, account, instrument, former string
			var p Position
			err := rows.Scan(&tenant, &account, &instrument, &p.Currency, &former, &p.Quantity, &p.Cost, &p.Realised,
				&p.Booked, &p.Live, &p.Version)
			if err != nil {
				return err
			}
			for code := range strings.FieldsFuncSeq(former, func(c rune) bool { return c == ',' }) {
				p.FormerCurrencies = append(p.FormerCurrencies, money.Currency(code))
			}
			index.State(tenant, account).loaded(instrument, p)
		}
		return rows.Err()
	}
}

// loaded puts a position's row into the state. What the state has of its fills
// stays: nothing was decided since.
func (a *Account) loaded(instrument string, row Position) {
	p := a.position(instrument)
	row.Fills, row.before = p.Fills, p.before
	if len(p.Fills) == 0 {
		row.before = row.Holding
	}
	*p = row
}

func scanTooDeep(accounts []*function.Entity[Account]) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		index := function.IndexOf(accounts)
		for rows.Next() {
			tenant, account, f, err := scanFill(rows)
			if err != nil {
				return err
			}
			index.State(tenant, account).index(f)
		}
		return rows.Err()
	}
}

// scanFills reads fills that are in the order of their positions, without gaps.
func scanFills(accounts []*function.Entity[Account]) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		index := function.IndexOf(accounts)
		var of *Account
		var fills []*Fill
		for rows.Next() {
			tenant, account, f, err := scanFill(rows)
			if err != nil {
				return err
			}
			next := index.State(tenant, account)
			if len(fills) > 0 && (next != of || f.Instrument != fills[0].Instrument) {
				of.loadedFills(fills)
				fills = nil
			}
			of, fills = next, append(fills, f)
		}
		if len(fills) > 0 {
			of.loadedFills(fills)
		}
		return rows.Err()
	}
}

// loadedFills puts the last fills of a position into the state, unless it has
// as many. The first row only says what the holding was before the others, but
// if it is the position's first: there is none before it.
func (a *Account) loadedFills(fills []*Fill) {
	before := Holding{}
	if fills[0].N > 1 {
		before, fills = fills[0].After, fills[1:]
	}
	p := a.position(fills[0].Instrument)
	if len(fills) <= len(p.Fills) {
		return
	}
	p.before, p.Fills = before, fills
	for _, f := range fills {
		a.index(f)
	}
}

func scanFill(rows pgx.Rows) (tenant, account string, _ *Fill, err error) {
	f := &Fill{stored: true}
	err = rows.Scan(&tenant, &account, &f.Instrument, &f.N, &f.Name.Source, &f.Name.ID, &f.Side, &f.Quantity, &f.Price,
		&f.Currency, &f.State, &f.Time, &f.After.Quantity, &f.After.Cost, &f.After.Realised)
	f.Time = f.Time.UTC()
	return tenant, account, f, err
}
