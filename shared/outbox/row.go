package outbox

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/millrace/millrace/shared/event"
)

// row is a claim as the table holds it.
type row struct {
	ID          int64
	Function    string
	CreatedAt   time.Time
	Dirty       []byte
	Emitted     []byte
	DeadLetters []uuid.UUID
	Drain       []byte
}

// claim reads what Claim.Queue wrote.
func (r *row) claim() (Claim, error) {
	c := Claim{ID: r.ID, Function: r.Function, DeadLetters: r.DeadLetters, created: r.CreatedAt, committed: r.CreatedAt}
	if r.Dirty != nil {
		var dirty Dirty
		if err := json.Unmarshal(r.Dirty, &dirty); err != nil {
			return c, fmt.Errorf("outbox row %d: dirty: %w", r.ID, err)
		}
		c.Entities, c.Aggregates = dirty.Entities, dirty.Aggregates
	}
	if r.Drain != nil {
		if err := json.Unmarshal(r.Drain, &c.Drain); err != nil {
			return c, fmt.Errorf("outbox row %d: drain: %w", r.ID, err)
		}
	}
	if r.Emitted != nil {
		received, err := event.ParseBatch(r.Emitted, math.MaxInt, math.MaxInt)
		if err != nil {
			return c, fmt.Errorf("outbox row %d: emitted: %w", r.ID, err)
		}
		for n, e := range received {
			if e.Err != nil {
				return c, fmt.Errorf("outbox row %d: emitted event %d: %w", r.ID, n, e.Err)
			}
			c.Emitted, c.encoded = append(c.Emitted, e.Event), append(c.encoded, e.Raw)
		}
	}
	return c, nil
}
