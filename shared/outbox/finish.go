package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Rows are locked in one order, so that two relays that finish the same rows
// cannot deadlock; each statement is a transaction of its own for the same
// reason. A row that has the id and not the time is another transaction's: the
// database failed over without its tail, and gave the id again.
const (
	// A row whose views were shown in an epoch that is over stays: after a
	// renewal every view is shown anew, and one of the old epoch may have come
	// too late to be seen. If the renewal commits after this statement looked,
	// the rebuild that follows it sees what the row is about.
	deleteRows = `
WITH done AS MATERIALIZED (
    SELECT o.id
    FROM unnest($1::bigint[], $2::timestamptz[], $3::uuid[]) AS done (id, created_at, epoch)
    JOIN millrace.outbox AS o ON o.id = done.id AND o.created_at = done.created_at
    WHERE done.epoch IS NULL OR done.epoch = (SELECT epoch FROM millrace.database_epoch)
    ORDER BY o.id
    FOR UPDATE OF o
)
DELETE FROM millrace.outbox AS o USING done WHERE o.id = done.id`

	narrowRows = `
WITH rest AS MATERIALIZED (
    SELECT rest.*
    FROM unnest($1::bigint[], $2::timestamptz[], $3::uuid[], $4::bool[], $5::json[], $6::bool[], $7::json[],
                $8::bool[], $9::text[], $10::bool[], $11::json[])
      AS rest (id, created_at, epoch, sets_dirty, dirty, sets_emitted, emitted,
               sets_dead_letters, dead_letters, sets_drain, drain)
    JOIN millrace.outbox AS o ON o.id = rest.id AND o.created_at = rest.created_at
    ORDER BY o.id
    FOR UPDATE OF o
)
UPDATE millrace.outbox AS o
SET dirty = CASE WHEN rest.sets_dirty AND rest.epoch = (SELECT epoch FROM millrace.database_epoch)
            THEN rest.dirty ELSE o.dirty END,
    emitted = CASE WHEN rest.sets_emitted THEN rest.emitted ELSE o.emitted END,
    dead_letters = CASE WHEN rest.sets_dead_letters THEN rest.dead_letters::uuid[] ELSE o.dead_letters END,
    drain = CASE WHEN rest.sets_drain THEN rest.drain ELSE o.drain END
FROM rest
WHERE o.id = rest.id`
)

// finish takes out of the outbox what is done: one statement for rows that are
// done, one for those of which something is left.
//
// Two relays may finish one row at the same time. Whichever comes last says
// what is left, and each leaves only what it did not do itself: nothing gets
// lost, and what is done twice is harmless.
//
// A crash before this, or a lost reply, leaves rows that are published again.
func (r *Relay) finish(ctx context.Context, works []*work) error {
	var done finished
	var left narrowed
	for _, w := range works {
		switch {
		case w.done():
			done.add(w)
		case w.progress():
			if err := left.add(w); err != nil {
				return err
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	if len(done.ids) > 0 {
		tag, err := r.cfg.Pool.Exec(ctx, deleteRows, done.ids, done.created, done.epochs)
		if err != nil {
			return fmt.Errorf("deleting %d outbox rows: %w", len(done.ids), err)
		}
		r.stats.finished.Add(tag.RowsAffected())
	}
	if len(left.ids) > 0 {
		_, err := r.cfg.Pool.Exec(ctx, narrowRows, left.ids, left.created, left.epochs, left.setsDirty, left.dirty,
			left.setsEmitted, left.emitted, left.setsDeadLetters, left.deadLetters, left.setsDrain, left.drain)
		if err != nil {
			return fmt.Errorf("narrowing %d outbox rows: %w", len(left.ids), err)
		}
	}
	return nil
}

type finished struct {
	ids     []int64
	created []time.Time
	epochs  []epoch
}

func (f *finished) add(w *work) {
	f.ids = append(f.ids, w.ID)
	f.created = append(f.created, w.created)
	f.epochs = append(f.epochs, w.shownAt)
}

type narrowed struct {
	finished
	setsDirty, setsEmitted, setsDeadLetters, setsDrain []bool
	dirty, emitted, deadLetters, drain                 []*string
}

func (n *narrowed) add(w *work) error {
	n.finished.add(w)
	var dirty, emitted, deadLetters, drain *string
	var err error
	if w.dirtyLess() && len(w.rest.entities)+len(w.rest.aggregates) > 0 {
		if dirty, err = jsonText(Dirty{Entities: w.rest.entities, Aggregates: w.rest.aggregates}); err != nil {
			return err
		}
	}
	if w.emittedLess() && len(w.rest.emitted) > 0 {
		array, _ := encodeEvents(w.rest.emitted)
		text := string(array)
		emitted = &text
	}
	if w.deadLettersLess() && len(w.rest.deadLetters) > 0 {
		deadLetters = arrayText(w.rest.deadLetters)
	}
	if w.drainLess() && len(w.rest.drain) > 0 {
		if drain, err = jsonText(w.rest.drain); err != nil {
			return err
		}
	}
	n.setsDirty, n.dirty = append(n.setsDirty, w.dirtyLess()), append(n.dirty, dirty)
	n.setsEmitted, n.emitted = append(n.setsEmitted, w.emittedLess()), append(n.emitted, emitted)
	n.setsDeadLetters, n.deadLetters = append(n.setsDeadLetters, w.deadLettersLess()), append(n.deadLetters, deadLetters)
	n.setsDrain, n.drain = append(n.setsDrain, w.drainLess()), append(n.drain, drain)
	return nil
}

// arrayText is an array as PostgreSQL reads it, since arrays of arrays of
// several lengths cannot be sent.
func arrayText(ids []uuid.UUID) *string {
	text := []byte{'{'}
	for n, id := range ids {
		if n > 0 {
			text = append(text, ',')
		}
		text = append(text, id.String()...)
	}
	out := string(append(text, '}'))
	return &out
}
