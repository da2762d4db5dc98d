package invariants

import (
	"bytes"
	"context"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/shared/event"
)

const (
	// One statement, so that an event that leaves parking meanwhile is not missed.
	findDecided = `
SELECT batch.n, s.digest, p.digest, p.event
FROM unnest($2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])
  AS batch (n, tenant_id, source, id, subject, sequence)
LEFT JOIN millrace.seen AS s ON s.tenant_id = batch.tenant_id AND s.source = batch.source AND s.id = batch.id
LEFT JOIN millrace.parked AS p
  ON p.tenant_id = batch.tenant_id AND p.function = $1 AND p.subject = batch.subject
 AND p.source = batch.source AND p.sequence = batch.sequence AND p.id = batch.id
WHERE s.id IS NOT NULL OR p.id IS NOT NULL`

	selectRedriven = `
SELECT batch.n, d.digest, d.event
FROM unnest($2::int[], $3::uuid[]) AS batch (n, id)
JOIN millrace.dead_letters AS d ON d.id = batch.id AND d.function = $1 AND d.digest IS NOT NULL`

	selectDead = `
SELECT batch.n, d.digest, d.event
FROM unnest($2::int[], $3::text[], $4::text[], $5::text[]) AS batch (n, tenant_id, source, id)
JOIN millrace.dead_letters AS d
  ON d.tenant_id = batch.tenant_id AND d.source = batch.source AND d.event_id = batch.id AND d.function = $1`
)

// Fate is where an event is found.
type Fate int

// The fates of an event.
const (
	Nowhere   Fate = iota
	Decided        // with this content
	Parked         // likewise
	Dead           // likewise, undecided
	Conflict       // an event with its identity and another content was decided
	Contested      // likewise, and it is a dead letter
)

// without returns the places of the events that had no effect of any kind.
func (c *check) without(ctx context.Context, function string, events []*event.Event) ([]int, error) {
	fates, err := Fates(ctx, c.deps.Pool, function, events)
	var missing []int
	for n, f := range fates {
		if f == Nowhere || f == Conflict {
			missing = append(missing, n)
		}
	}
	return missing, err
}

// Fates says where a function has each event. One that could not be read (nil) is
// nowhere.
func Fates(ctx context.Context, pool *pgxpool.Pool, function string, events []*event.Event) ([]Fate, error) {
	fates := make([]Fate, len(events))
	digests := make([][]byte, len(events))
	open := columns{}
	for n, e := range events {
		if e != nil && Storable(e) {
			digest := e.Digest()
			digests[n] = digest[:]
			open.add(n, e)
		}
	}
	if len(open.ns) == 0 {
		return fates, nil
	}
	if err := findRedriven(ctx, pool, function, events, digests); err != nil {
		return nil, err
	}
	rows, err := pool.Query(ctx, findDecided, function, open.ns, open.tenants, open.sources, open.ids, open.subjects, open.sequences)
	if err != nil {
		return nil, err
	}
	var n int
	var seen, digest, waiting []byte
	if _, err := pgx.ForEachRow(rows, []any{&n, &seen, &digest, &waiting}, func() error {
		switch {
		case bytes.Equal(seen, digests[n]):
			fates[n] = Decided
		case waiting != nil && digestIs(digest, waiting, digests[n]):
			fates[n] = Parked
		case seen != nil:
			fates[n] = Conflict
		}
		return nil
	}); err != nil {
		return nil, err
	}
	return fates, findDead(ctx, pool, function, events, digests, fates)
}

// findRedriven gives what a redaction left of an event, and an operator redrove,
// the digest of the whole.
func findRedriven(ctx context.Context, pool *pgxpool.Pool, function string, events []*event.Event, digests [][]byte) error {
	var ns []int32
	var ids []uuid.UUID
	for n, e := range events {
		if digests[n] == nil {
			continue
		}
		if id, err := uuid.Parse(e.Extensions[event.DeadLetterExtension]); err == nil {
			ns, ids = append(ns, int32(n)), append(ids, id)
		}
	}
	if len(ns) == 0 {
		return nil
	}
	rows, err := pool.Query(ctx, selectRedriven, function, ns, ids)
	if err != nil {
		return err
	}
	var n int
	var digest, raw []byte
	_, err = pgx.ForEachRow(rows, []any{&n, &digest, &raw}, func() error {
		if digestIs(nil, raw, digests[n]) {
			digests[n] = digest
		}
		return nil
	})
	return err
}

// findDead looks for the rest among the dead letters.
func findDead(ctx context.Context, pool *pgxpool.Pool, function string, events []*event.Event, digests [][]byte, fates []Fate) error {
	rest := columns{}
	for n, f := range fates {
		if (f == Nowhere || f == Conflict) && digests[n] != nil {
			rest.add(n, events[n])
		}
	}
	if len(rest.ns) == 0 {
		return nil
	}
	rows, err := pool.Query(ctx, selectDead, function, rest.ns, rest.tenants, rest.sources, rest.ids)
	if err != nil {
		return err
	}
	var n int
	var digest, raw []byte
	_, err = pgx.ForEachRow(rows, []any{&n, &digest, &raw}, func() error {
		if (fates[n] == Nowhere || fates[n] == Conflict) && digestIs(digest, raw, digests[n]) {
			fates[n] = map[Fate]Fate{Nowhere: Dead, Conflict: Contested}[fates[n]]
		}
		return nil
	})
	return err
}

// digestIs compares the digest of a row, which a redaction keeps, or where it
// has none that of its event.
func digestIs(digest, raw, want []byte) bool {
	if digest == nil {
		e := event.ParseStructured(raw).Event
		if e == nil {
			return false
		}
		is := e.Digest()
		digest = is[:]
	}
	return bytes.Equal(digest, want)
}

// Storable reports whether PostgreSQL can be asked for an event: one with an
// identity that it could have.
func Storable(e *event.Event) bool {
	for _, text := range []string{e.TenantID, e.Source, e.ID} {
		if text == "" || strings.ContainsRune(text, 0) || !utf8.ValidString(text) {
			return false
		}
	}
	return !strings.ContainsRune(e.Subject, 0) && utf8.ValidString(e.Subject)
}

// columns are events for unnest.
type columns struct {
	ns                              []int32
	tenants, sources, ids, subjects []string
	sequences                       []int64
}

func (c *columns) add(n int, e *event.Event) {
	c.ns = append(c.ns, int32(n))
	c.tenants = append(c.tenants, e.TenantID)
	c.sources = append(c.sources, e.Source)
	c.ids = append(c.ids, e.ID)
	c.subjects = append(c.subjects, e.Subject)
	c.sequences = append(c.sequences, e.Sequence)
}

// stamped reads from an event's JSON, however wrong it is otherwise, in which
// record it was.
func stamped(raw []byte) (at place, ok bool) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw))
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return at, false
	}
	var partition, offset string
	for dec.PeekKind() == '"' {
		tok, err := dec.ReadToken()
		if err != nil {
			return at, false
		}
		field := tok.String()
		value, err := dec.ReadValue()
		if err != nil {
			return at, false
		}
		switch field {
		case "knativekafkapartition":
			partition = strings.Trim(string(value), `"`)
		case "knativekafkaoffset":
			offset = strings.Trim(string(value), `"`)
		}
	}
	return parsePlace(partition, offset)
}
