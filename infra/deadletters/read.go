package deadletters

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
)

// Letter is a dead letter without its event.
type Letter struct {
	ID        uuid.UUID `json:"id"`
	Function  string    `json:"function"`
	TenantID  string    `json:"tenant"`
	Subject   string    `json:"subject"`
	Source    string    `json:"source"`
	EventID   string    `json:"eventId"`
	Type      string    `json:"type"`
	Kind      string    `json:"kind"`
	Reason    string    `json:"reason"`
	Cause     string    `json:"cause"`
	State     string    `json:"state"`
	CreatedAt time.Time `json:"createdAt"`
}

const columns = `id, function, tenant_id, subject, source, event_id, type, kind, reason, cause, state, created_at`

func (l *Letter) fields() []any {
	return []any{&l.ID, &l.Function, &l.TenantID, &l.Subject, &l.Source, &l.EventID, &l.Type, &l.Kind, &l.Reason, &l.Cause, &l.State, &l.CreatedAt}
}

// List returns a page of at most limit dead letters, the newest first, that
// follow the one of id after, if that is set; and whether there are more.
func List(ctx context.Context, pool *pgxpool.Pool, s Selection, after uuid.UUID, limit int) (page []Letter, more bool, err error) {
	condition, args := s.where(limit + 1)
	if after != uuid.Nil {
		args = append(args, after)
		condition += fmt.Sprintf(" AND (created_at, id) < (SELECT created_at, id FROM millrace.dead_letters WHERE id = $%d)", len(args))
	}
	rows, err := pool.Query(ctx, `
SELECT `+columns+`
FROM millrace.dead_letters
WHERE `+condition+`
ORDER BY created_at DESC, id DESC
LIMIT $1`, args...)
	if err != nil {
		return nil, false, fmt.Errorf("reading dead letters: %w", err)
	}
	var l Letter
	if _, err = pgx.ForEachRow(rows, l.fields(), func() error {
		page = append(page, l)
		return nil
	}); err != nil {
		return nil, false, fmt.Errorf("reading dead letters: %w", err)
	}
	if len(page) > limit {
		return page[:limit], true, nil
	}
	return page, false, nil
}

// MaxCount is how far Count counts.
const MaxCount = 100_000

// Count counts dead letters, as far as [MaxCount].
func Count(ctx context.Context, pool *pgxpool.Pool, s Selection) (n int, err error) {
	condition, args := s.where(MaxCount)
	query := `SELECT count(*) FROM (SELECT FROM millrace.dead_letters WHERE ` + condition + ` LIMIT $1) AS counted`
	if err := pool.QueryRow(ctx, query, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("counting dead letters: %w", err)
	}
	return n, nil
}

// Operation is what an operator did.
type Operation struct {
	At   time.Time `json:"at"`
	Who  string    `json:"who"`
	What string    `json:"what"`
	Why  string    `json:"why,omitempty"`
}

// Whole is a dead letter with its event and what was done to it.
type Whole struct {
	Letter
	// Event is the CloudEvent in JSON, or the bytes that came instead of one.
	Event   []byte
	History []Operation // in order
}

// AttributesOnly says that what the event said was taken away on purpose: it
// could not be read, so no redaction would have found it.
func (w *Whole) AttributesOnly() bool {
	for _, fn := range functions.All() {
		if fn.FunctionName() == w.Function && function.HasConfidential(fn) {
			return bytes.Equal(w.Event, event.Envelope(w.Event))
		}
	}
	return false
}

// ErrNone says that there is no such dead letter.
var ErrNone = errors.New("there is no such dead letter")

// Get returns a dead letter, or [ErrNone].
func Get(ctx context.Context, pool *pgxpool.Pool, id uuid.UUID) (*Whole, error) {
	w := &Whole{}
	err := pool.QueryRow(ctx, `SELECT `+columns+`, event FROM millrace.dead_letters WHERE id = $1`, id).
		Scan(append(w.fields(), &w.Event)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, fmt.Errorf("reading a dead letter: %w", err)
	}
	rows, err := pool.Query(ctx, `
SELECT done_at, who, what, why
FROM millrace.operations
WHERE dead_letter = $1
ORDER BY id`, id)
	if err == nil {
		w.History, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Operation])
	}
	if err != nil {
		return nil, fmt.Errorf("reading the history of a dead letter: %w", err)
	}
	return w, nil
}
