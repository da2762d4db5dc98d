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
	Views     []View
}

// Stream is what one producer sent about the entity.
type Stream struct {
	Source string
	// Position is the last decided sequence.
	Position int64
	Parked   int
}

// Decision is one row of the audit log.
type Decision struct {
	Version         int64
	Time            time.Time
	Type            string
	Source, ID      string
	Outcome, Reason string
}

// lastDecisions is how many are shown.
const lastDecisions = 5

// ErrNoEntity says that nothing was ever decided about an entity.
var ErrNoEntity = errors.New("nothing was decided about it yet")

const (
	selectEntity = `
SELECT version, counters FROM millrace.entities
WHERE tenant_id = $1 AND function = $2 AND subject = $3`

	selectStreams = `
SELECT source, position, parked FROM millrace.streams
WHERE tenant_id = $1 AND function = $2 AND subject = $3 ORDER BY source LIMIT 100`

	selectDecisions = `
SELECT version, time, type, source, id, outcome, reason FROM millrace.audit
WHERE tenant_id = $1 AND function = $2 AND subject = $3 ORDER BY version DESC LIMIT $4`

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
	err = tx.SendBatch(ctx, &batch).Close()
	if errors.Is(err, pgx.ErrNoRows) && e.Version == 0 {
		return e, ErrNoEntity
	}
	if err != nil {
		return e, fmt.Errorf("reading entity %s: %w", name, err)
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
		if err := row.Scan(&e.Version, &counters); err != nil {
			return err
		}
		return json.Unmarshal(counters, &e.Counters)
	})
	b.Queue(selectStreams, key...).Query(func(rows pgx.Rows) (err error) {
		e.Streams, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Stream])
		return err
	})
	b.Queue(selectDecisions, append(key, lastDecisions)...).Query(func(rows pgx.Rows) (err error) {
		e.Decisions, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Decision])
		return err
	})
}
