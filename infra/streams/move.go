package streams

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/infra/operations"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/outbox"
	"github.com/millrace/millrace/shared/postgres"
)

// A RefusalError says why an operation would make no sense.
type RefusalError struct{ why string }

func (r *RefusalError) Error() string { return r.why }

func refuse(format string, args ...any) error { return &RefusalError{fmt.Sprintf(format, args...)} }

// Moved is how an operation left a stream.
type Moved struct {
	Name

	Position int64 `json:"position"`
	Parked   int   `json:"parked"`
	// Next is the first sequence that is parked. If it follows the position, the
	// relay drains what is ready.
	Next int64 `json:"firstParked"`
}

// Skip gives up sequences that are missing: the stream goes on behind them. They
// have to be the next ones, and before what is parked.
func Skip(ctx context.Context, pool *pgxpool.Pool, name Name, lost Range, by operations.Operator) (Moved, error) {
	if lost.From > lost.To {
		return Moved{}, refuse("%d to %d is no range", lost.From, lost.To)
	}
	return move(ctx, pool, name, "skip", lost, by)
}

// Adopt lets a stream of which nothing was decided start at a sequence other
// than 1, not after what is parked.
func Adopt(ctx context.Context, pool *pgxpool.Pool, name Name, first int64, by operations.Operator) (Moved, error) {
	if first <= 1 {
		return Moved{}, refuse("a stream that starts at 1 needs no adopting")
	}
	return move(ctx, pool, name, "adopt", Range{1, first - 1}, by)
}

const (
	lockEntity = `
SELECT FROM millrace.entities
WHERE tenant_id = $1 AND function = $2 AND subject = $3
FOR UPDATE`

	// A statement of its own, after the lock: it sees what was committed before.
	readStream = `
SELECT coalesce((SELECT position FROM millrace.streams
                 WHERE tenant_id = $1 AND function = $2 AND subject = $3 AND source = $4), 0),
       coalesce(min(sequence), 0), count(*)
FROM millrace.parked
WHERE tenant_id = $1 AND function = $2 AND subject = $3 AND source = $4`

	moveStream = `
UPDATE millrace.streams SET position = $5
WHERE tenant_id = $1 AND function = $2 AND subject = $3 AND source = $4`

	enter = `
INSERT INTO millrace.operations (who, what, why, tenant_id, function, subject, source, from_sequence, to_sequence)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
)

func move(ctx context.Context, pool *pgxpool.Pool, name Name, what string, over Range, by operations.Operator) (m Moved, err error) {
	if by.Why == "" {
		return m, refuse("to %s needs a reason why", what)
	}
	m.Name = name
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if err := m.lock(ctx, tx); err != nil {
			return err
		}
		if err := m.check(what, over); err != nil {
			return err
		}
		if err := checkLetters(ctx, tx, name, over); err != nil {
			return err
		}
		m.Position = over.To
		return m.write(ctx, tx, what, over, by)
	})
	if _, is := errors.AsType[*RefusalError](err); err == nil || is {
		return m, err
	}
	return m, fmt.Errorf("%s of %s: %w", what, name, err)
}

// lock locks the entity and reads the stream as it is.
func (m *Moved) lock(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, "SELECT "+postgres.LockSettings); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, lockEntity, m.TenantID, m.Function, m.Subject); err != nil {
		return err
	}
	return tx.QueryRow(ctx, readStream, m.args()...).Scan(&m.Position, &m.Next, &m.Parked)
}

// check refuses what makes no sense for the stream as it is.
func (m *Moved) check(what string, over Range) error {
	gap := Range{m.Position + 1, m.Next - 1}
	switch {
	case strings.HasPrefix(m.Source, event.ReservedSource):
		return refuse("%s is emitted by a function: what is missing is on its way, or a dead letter", m.Name)
	case over.To <= m.Position:
		return refuse("%s is decided up to %d already", m.Name, m.Position)
	case m.Parked == 0:
		return refuse("%s waits for nothing: no event of it is parked", m.Name)
	case gap.From > gap.To:
		return refuse("nothing of %s is missing: it is decided up to %d, and what is ready of %d parked is being drained", m.Name, m.Position, m.Parked)
	case what == "adopt" && m.Position > 0:
		return refuse("%s has begun and is decided up to %d: it waits for %s, which may be skipped", m.Name, m.Position, gap)
	case over.From != gap.From:
		return refuse("%s waits for %s, not for %s", m.Name, gap, over)
	case over.To > gap.To:
		return refuse("%d of %s is parked: only %s is missing before it", m.Next, m.Name, gap)
	}
	return nil
}

// checkLetters refuses to pass over an event that is there.
func checkLetters(ctx context.Context, tx pgx.Tx, name Name, over Range) error {
	all, err := lettersIn(ctx, tx, name, over, nil)
	if err != nil || len(all) == 0 {
		return err
	}
	l := all[0]
	return refuse("sequence %d of %s is not lost: it is dead letter %s (%s); redrive it, or drop it first", l.Sequence, name, l.ID, l.Reason)
}

func (m *Moved) write(ctx context.Context, tx pgx.Tx, what string, over Range, by operations.Operator) error {
	b := &pgx.Batch{}
	b.Queue(moveStream, append(m.args(), m.Position)...)
	b.Queue(enter, append([]any{by.Who, what, by.Why}, append(m.args(), over.From, over.To)...)...)
	if m.Next == m.Position+1 {
		claim := outbox.Claim{Function: m.Function,
			Drain: []outbox.Stream{{TenantID: m.TenantID, Subject: m.Subject, Source: m.Source}}}
		if err := claim.Queue(b, time.Now()); err != nil {
			return err
		}
	}
	return tx.SendBatch(ctx, b).Close()
}
