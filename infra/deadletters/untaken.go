package deadletters

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Untaken is a dead letter that was named by its id, and why it is not selected.
type Untaken struct {
	ID  uuid.UUID
	Err error
}

// Rest tells of the ids of s that are not in taken, each once.
func Rest(ctx context.Context, pool *pgxpool.Pool, s Selection, taken map[uuid.UUID]bool) (rest []Untaken, err error) {
	told := map[uuid.UUID]bool{}
	for _, id := range s.IDs {
		if taken[id] || told[id] {
			continue
		}
		told[id] = true
		w, err := Get(ctx, pool, id)
		switch {
		case errors.Is(err, ErrNone):
			rest = append(rest, Untaken{id, err})
		case err != nil:
			return nil, err
		default:
			rest = append(rest, Untaken{id, w.unselected(s)})
		}
	}
	return rest, nil
}

func (w *Whole) unselected(s Selection) error {
	if len(s.States) == 0 || slices.Contains(s.States, w.State) {
		return errors.New("the other flags leave it out")
	}
	did := map[string]string{Redriven: "redrive", Dropped: "drop"}[w.State]
	for _, o := range slices.Backward(w.History) {
		if o.What == did {
			return fmt.Errorf("it was %s at %s by %s", w.State, o.At.UTC().Format(time.DateTime), o.Who)
		}
	}
	return fmt.Errorf("it is %s", w.State)
}
