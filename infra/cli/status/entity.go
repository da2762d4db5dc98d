package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/shared/function"
)

// EntityName names an entity: whose, of which function, and which.
type EntityName struct{ Tenant, Function, Subject string }

// ParseEntityName reads tenant/function/subject; a subject may have slashes.
func ParseEntityName(text string) (EntityName, error) {
	parts := strings.SplitN(text, "/", 3)
	if len(parts) < 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return EntityName{}, fmt.Errorf("%q is no entity: write tenant/function/subject, for example acme/trade/account-1", text)
	}
	return EntityName{parts[0], parts[1], parts[2]}, nil
}

func (n EntityName) String() string { return n.Tenant + "/" + n.Function + "/" + n.Subject }

// Entity is what is stored and shown of one entity.
type Entity struct {
	Name      EntityName
	Version   int64
	Counters  map[string]int64
	Streams   []Stream
	Decisions []Decision // the last ones, newest first
	// Parked and DeadLetters are what waits for an earlier event, and what is
	// open: of many the first and the newest.
	Parked      []Parked
	DeadLetters []DeadLetter
	Views       []View
}

// Stream is what one producer sent about the entity.
type Stream struct {
	Source string
	// Position is the last decided sequence.
	Position int64
	Parked   int
	// FirstParked is the lowest sequence that is parked; 0 if none is. What lies
	// between it and Position is missing.
	FirstParked int64
}

// Parked is an event that came before an earlier one of its stream.
type Parked struct {
	Source   string
	Sequence int64
	Time     time.Time // when it was parked
	Type, ID string
}

// DeadLetter is an open one.
type DeadLetter struct {
	ID                  string
	Time                time.Time // when it became one
	Type, Event         string
	Kind, Reason, Cause string
}

// Decision is one row of the audit log.
type Decision struct {
	Version                int64
	Time                   time.Time
	Type                   string
	Source, ID             string
	Outcome, Reason, Cause string
}

// How many are shown of each; of what waits and failed one more is read.
const (
	lastDecisions = 5
	lastOpen      = 10
)

// ErrNoEntity says that no event about an entity was decided, waits or failed.
var ErrNoEntity = errors.New("nothing is known about it yet")

const (
	selectEntity = `
SELECT version, counters FROM millrace.entities
WHERE tenant_id = $1 AND function = $2 AND subject = $3`

	selectStreams = `
SELECT source, position, parked,
       coalesce((SELECT min(p.sequence) FROM millrace.parked AS p
                 WHERE p.tenant_id = s.tenant_id AND p.function = s.function AND p.subject = s.subject AND p.source = s.source), 0)
FROM millrace.streams AS s
WHERE tenant_id = $1 AND function = $2 AND subject = $3 ORDER BY source LIMIT 100`

	selectDecisions = `
SELECT version, time, type, source, id, outcome, reason,
       coalesce((SELECT d.cause FROM millrace.dead_letters AS d
                 WHERE d.tenant_id = a.tenant_id AND d.source = a.source AND d.event_id = a.id
                   AND d.kind = 'refused' AND a.outcome = 'refused'
                 ORDER BY d.created_at DESC LIMIT 1), '')
FROM millrace.audit AS a
WHERE tenant_id = $1 AND function = $2 AND subject = $3 ORDER BY version DESC LIMIT $4`

	selectParked = `
SELECT source, sequence, parked_at, coalesce(event ->> 'type', ''), id FROM millrace.parked
WHERE tenant_id = $1 AND function = $2 AND subject = $3 ORDER BY source, sequence LIMIT $4`

	selectDeadLetters = `
SELECT id::text, created_at, type, event_id, kind, reason, cause FROM millrace.dead_letters
WHERE tenant_id = $1 AND function = $2 AND subject = $3 AND state NOT IN ('redriven', 'dropped')
ORDER BY created_at DESC, id LIMIT $4`

	selectAggregates = `
SELECT name, field, sum(value)::text, sum(version)::bigint FROM millrace.aggregates
WHERE tenant_id = $1 AND function = $2 AND key = $3 GROUP BY name, field ORDER BY name, field`
)

// ReadEntity reads an entity in one snapshot of the database, and then what
// Redis shows of it.
func ReadEntity(ctx context.Context, conn *pgx.Conn, shown redis.UniversalClient, name EntityName) (Entity, error) {
	definition, err := find(name.Function)
	if err != nil {
		return Entity{}, err
	}
	e := Entity{Name: name}
	r := rendering{definition: definition, instance: definition.NewEntity(function.Head{TenantID: name.Tenant, Subject: name.Subject})}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return e, err
	}
	defer func() { _ = tx.Rollback(ctx) }() // it only read
	var batch pgx.Batch
	e.queue(&batch)
	r.queue(&batch, name)
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return e, fmt.Errorf("reading entity %s: %w", name, err)
	}
	if e.Version == 0 && len(e.Parked) == 0 && len(e.DeadLetters) == 0 {
		return e, ErrNoEntity
	}
	r.instance.Header().Version = e.Version
	e.Views, err = r.read(ctx, shown)
	return e, err
}

func find(name string) (function.Definition, error) {
	var known []string
	for _, definition := range functions.All() {
		if definition.FunctionName() == name {
			return definition, nil
		}
		known = append(known, definition.FunctionName())
	}
	return nil, fmt.Errorf("there is no function %q; there are %s", name, strings.Join(known, ", "))
}

func (e *Entity) queue(b *pgx.Batch) {
	key := []any{e.Name.Tenant, e.Name.Function, e.Name.Subject}
	b.Queue(selectEntity, key...).QueryRow(func(row pgx.Row) error {
		var counters []byte
		err := row.Scan(&e.Version, &counters)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil // nothing was decided; a dead letter of it there may be
		}
		if err != nil {
			return err
		}
		return json.Unmarshal(counters, &e.Counters)
	})
	collect(b, selectStreams, key, &e.Streams)
	collect(b, selectDecisions, append(key, lastDecisions), &e.Decisions)
	collect(b, selectParked, append(key, lastOpen+1), &e.Parked)
	collect(b, selectDeadLetters, append(key, lastOpen+1), &e.DeadLetters)
}

// collect queues a query whose columns are the fields of T.
func collect[T any](b *pgx.Batch, sql string, args []any, into *[]T) {
	b.Queue(sql, args...).Query(func(rows pgx.Rows) (err error) {
		*into, err = pgx.CollectRows(rows, pgx.RowToStructByPos[T])
		return err
	})
}
