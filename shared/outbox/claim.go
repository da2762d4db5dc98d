package outbox

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/trace"
	"github.com/millrace/millrace/shared/views"
)

// Claim is what one transaction has to tell.
type Claim struct {
	ID          int64
	Function    string
	Entities    []Entity
	Aggregates  []Aggregate
	Emitted     []*event.Event
	DeadLetters []uuid.UUID
	Drain       []Stream
	// Views are the entities' views as the transaction left them, known only in
	// the process that committed it; without them they are read afresh.
	Views []views.View
	// Decisions are the spans of decisions that are followed, known as Views are.
	Decisions []trace.Context

	// created is when the row was written, as the row says. With its id it names
	// the row; an id alone may be another row's after a failover.
	created time.Time
	// epoch is the database's as the transaction saw it.
	epoch epoch
	// rendered is a moment before the commit, when nothing newer than Views can
	// have been committed; zero if Views are not known.
	rendered time.Time
	// committed is when the transaction was, about.
	committed time.Time
	// encoded is the JSON of Emitted.
	encoded [][]byte
}

// Entity names an entity that changed, and the version it has now.
type Entity struct {
	TenantID string `json:"tenant"`
	Subject  string `json:"subject"`
	Version  int64  `json:"version"`
}

// Aggregate names an aggregate key that changed.
type Aggregate struct {
	TenantID string `json:"tenant"`
	Name     string `json:"name"`
	Key      string `json:"key"`
}

// Stream names a stream whose parked events are ready.
type Stream struct {
	TenantID string `json:"tenant"`
	Subject  string `json:"subject"`
	Source   string `json:"source"`
}

// Dirty is the JSON form of the views that are to be shown anew.
type Dirty struct {
	Entities   []Entity    `json:"entities,omitempty"`
	Aggregates []Aggregate `json:"aggregates,omitempty"`
}

// Empty reports whether there is nothing to tell.
func (c *Claim) Empty() bool {
	return len(c.Entities) == 0 && len(c.Aggregates) == 0 && len(c.Emitted) == 0 &&
		len(c.DeadLetters) == 0 && len(c.Drain) == 0
}

const insertClaim = `
INSERT INTO millrace.outbox (function, created_at, dirty, emitted, dead_letters, drain)
VALUES ($1, least($2, now()), $3, $4, $5, $6)
RETURNING id, created_at, (SELECT epoch FROM millrace.database_epoch)`

// Queue queues the statement that writes c, and sets c.ID when it has run. It
// belongs into the transaction that c is about, after Views are rendered.
//
// A crash before the commit leaves nothing to tell. A crash after it leaves
// the row, which the sweeper finds once it is old enough; it compares the time
// now with the database's clock, so a process whose clock is ahead must not
// date its rows into the future.
func (c *Claim) Queue(b *pgx.Batch, now time.Time) error {
	var dirty, drain *string
	var emitted []byte
	var err error
	if len(c.Entities) > 0 || len(c.Aggregates) > 0 {
		dirty, err = jsonText(Dirty{Entities: c.Entities, Aggregates: c.Aggregates})
	}
	if err == nil && len(c.Drain) > 0 {
		drain, err = jsonText(c.Drain)
	}
	if err != nil {
		return fmt.Errorf("writing an outbox row: %w", err)
	}
	if len(c.Emitted) > 0 {
		emitted, c.encoded = encodeEvents(c.Emitted)
	}
	c.rendered = time.Now()
	b.Queue(insertClaim, c.Function, now, dirty, emitted, c.DeadLetters, drain).
		QueryRow(func(row pgx.Row) error { return row.Scan(&c.ID, &c.created, &c.epoch) })
	return nil
}

// encodeEvents returns the JSON of an array of events, and of each of them.
func encodeEvents(events []*event.Event) (array []byte, each [][]byte) {
	each = make([][]byte, len(events))
	ends := make([]int, len(events))
	for n, e := range events {
		array = event.AppendJSON(append(array, ','), e)
		ends[n] = len(array)
	}
	array[0] = '['
	for n, from := 0, 1; n < len(events); n++ {
		each[n] = array[from:ends[n]:ends[n]]
		from = ends[n] + 1
	}
	return append(array, ']'), each
}

func jsonText(v any) (*string, error) {
	out, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	text := string(out)
	return &text, nil
}
