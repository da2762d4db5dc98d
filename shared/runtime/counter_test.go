package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/money"
	"github.com/millrace/millrace/shared/outbox"
	"github.com/millrace/millrace/shared/views"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

// counter is a small function for tests: it adds numbers up.
type counter struct {
	Total   int64
	changed bool
}

type added struct {
	Amount int64  `json:"amount"`
	Note   string `json:"note,omitempty"`
}

func (a added) Validate() error {
	switch a.Note {
	case "invalid":
		return errors.New("note: is invalid")
	case "panic in Validate":
		panic("as asked")
	}
	return nil
}

const (
	counterTable = `
CREATE TABLE counters (
    tenant_id text, subject text, total bigint NOT NULL CHECK (total < 1000000),
    PRIMARY KEY (tenant_id, subject)
)`
	loadCounters = `
SELECT c.tenant_id, c.subject, c.total
FROM unnest($1::text[], $2::text[]) AS batch (tenant_id, subject)
JOIN counters AS c USING (tenant_id, subject)`
	saveCounters = `
INSERT INTO counters SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
ON CONFLICT (tenant_id, subject) DO UPDATE SET total = excluded.total`
)

func newCounter() *function.Function[counter] {
	return &function.Function[counter]{
		Name: "counter",
		Rules: []function.Rule[counter]{function.On("counter.added.v1",
			func(s *counter, _ function.Event, p added, fx *function.Effects) error {
				switch {
				case p.Note == "panic":
					panic("as asked")
				case p.Amount < 0:
					return function.Refuse("negative", "%d is below zero", p.Amount)
				}
				s.Total += p.Amount
				s.changed = true
				fx.Add("sum", "house", "all", money.MustParse(fmt.Sprint(p.Amount)))
				return nil
			})},
		Load: load, LoadViews: load, LoadAll: load,
		Save: func(b *pgx.Batch, entities []*function.Entity[counter]) {
			var tenants, subjects []string
			var totals []int64
			for _, e := range entities {
				if e.State.changed {
					tenants, subjects = append(tenants, e.TenantID), append(subjects, e.Subject)
					totals = append(totals, e.State.Total)
				}
			}
			b.Queue(saveCounters, tenants, subjects, totals)
		},
		Views: func(*function.Entity[counter]) []views.View { return nil },
	}
}

func load(b *pgx.Batch, entities []*function.Entity[counter]) {
	byKey := map[entityKey]*function.Entity[counter]{}
	var tenants, subjects []string
	for _, e := range entities {
		byKey[entityKey{e.TenantID, e.Subject}] = e
		tenants, subjects = append(tenants, e.TenantID), append(subjects, e.Subject)
	}
	b.Queue(loadCounters, tenants, subjects).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var key entityKey
			var total int64
			if err := rows.Scan(&key.tenant, &key.subject, &total); err != nil {
				return err
			}
			byKey[key].State.Total = total
		}
		return rows.Err()
	})
}

// world is a database with the counter function.
type world struct {
	*Processor
	url  string
	pool *pgxpool.Pool

	mu     sync.Mutex
	claims []outbox.Claim
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{url: stacktest.Postgres(t)}
	pool, err := pgxpool.New(t.Context(), w.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	w.pool = pool
	if _, err := pool.Exec(t.Context(), counterTable); err != nil {
		t.Fatal(err)
	}
	w.Processor = w.processor()
	return w
}

// processor makes one more processor, as another process would be.
func (w *world) processor() *Processor {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	l := Limits{Drain: 3, Parked: 100, DeadLetters: 100}
	return NewProcessor(newCounter(), w.pool, l, log, func(c outbox.Claim) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.claims = append(w.claims, c)
	})
}

func (w *world) offered() []outbox.Claim {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]outbox.Claim(nil), w.claims...)
}

// drainAll does what the claims left over, as the relay would, and what that
// leaves over.
func (w *world) drainAll(t *testing.T) {
	t.Helper()
	for done := 0; ; done++ {
		claims := w.offered()
		if done == len(claims) {
			return
		}
		for _, stream := range claims[done].Drain {
			if err := w.Drain(t.Context(), stream); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// add makes an event that adds amount to subject; sequence 0 is none.
func add(id, subject string, sequence, amount int64, note ...string) event.Received {
	e := &event.Event{
		TenantID: "acme", Source: "/test", ID: id, Type: "counter.added.v1", Subject: subject,
		Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Sequence: sequence, IsJSON: true,
		Data: fmt.Appendf(nil, `{"amount":%d}`, amount),
	}
	if len(note) > 0 {
		e.Data = fmt.Appendf(nil, `{"amount":%d,"note":%q}`, amount, note[0])
	}
	return event.Received{Event: e, Raw: event.AppendJSON(nil, e)}
}

func (w *world) process(t *testing.T, events ...event.Received) []Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	outcomes, err := w.Process(ctx, events)
	if err != nil {
		t.Fatal(err)
	}
	return outcomes
}

// text runs a query of one text column and one row.
func (w *world) text(t *testing.T, sql string, args ...any) string {
	t.Helper()
	var out string
	if err := w.pool.QueryRow(t.Context(), sql, args...).Scan(&out); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

// summary says all that the database holds about subject.
func (w *world) summary(t *testing.T, subject string) string {
	t.Helper()
	return w.text(t, `
SELECT concat_ws(' ',
    'total=' || (SELECT total FROM counters WHERE subject = $1),
    'version=' || (SELECT version FROM millrace.entities WHERE subject = $1),
    'stream=' || (SELECT string_agg(position || '+' || parked, ',') FROM millrace.streams WHERE subject = $1),
    'audit=' || (SELECT string_agg(id || ':' || outcome, ',' ORDER BY version) FROM millrace.audit WHERE subject = $1),
    'parked=' || (SELECT string_agg(id, ',' ORDER BY sequence) FROM millrace.parked WHERE subject = $1),
    'dead=' || (SELECT string_agg(event_id || ':' || reason, ',' ORDER BY event_id) FROM millrace.dead_letters WHERE subject = $1))`, subject)
}

// lenientRule takes whatever comes, as a later version of the rules would.
func lenientRule(eventType string) function.Rule[counter] {
	return function.On(eventType, func(s *counter, _ function.Event, p added, _ *function.Effects) error {
		s.Total += p.Amount
		s.changed = true
		return nil
	})
}

// strictRule refuses whatever comes.
func strictRule() function.Rule[counter] {
	return function.On("counter.added.v1", func(_ *counter, _ function.Event, p added, _ *function.Effects) error {
		return function.Refuse("negative", "%d is refused", p.Amount)
	})
}
