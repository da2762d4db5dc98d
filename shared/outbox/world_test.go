package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/views"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

const tenant = "acme"

// world is a database with the tally function, a Redis, and a Kafka that is
// only a list.
type world struct {
	url      string
	pool     *pgxpool.Pool
	redisURL string
	redis    redis.UniversalClient
	kafka    *recorder
	fn       *function.Function[tally]
	logs     *stacktest.Log
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{url: stacktest.Postgres(t), redisURL: stacktest.Redis(t), kafka: &recorder{}, fn: newTally(), logs: &stacktest.Log{}}
	w.pool = w.newPool(t, nil)
	w.exec(t, tallyTable)
	if _, err := Epoch(t.Context(), w.pool); err != nil {
		t.Fatal(err)
	}
	w.redis = w.newRedis(t)
	return w
}

func (w *world) newPool(t testing.TB, change func(*pgxpool.Config)) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(w.url)
	if err != nil {
		t.Fatal(err)
	}
	cfg.MaxConns = 8
	if change != nil {
		change(cfg)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func (w *world) newRedis(t testing.TB) redis.UniversalClient {
	t.Helper()
	client, err := views.Open(t.Context(), w.redisURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// relay makes one more relay, as another process would have it.
func (w *world) relay(change ...func(*RelayConfig)) *Relay {
	cfg := RelayConfig{
		Pool: w.pool, Redis: w.redis, Producer: w.kafka, Functions: []function.Definition{w.fn},
		Log:     slog.New(slog.NewTextHandler(w.logs, nil)),
		BackOff: time.Nanosecond,
	}
	for _, f := range change {
		f(&cfg)
	}
	return NewRelay(cfg)
}

func (w *world) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := w.pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// change is what one transaction of a test does.
type change struct {
	subjects []string // to each of them, by is added
	by       int64
	emits    int
	letters  []string // dead letters, as the bytes that came
}

// commit runs a transaction as the runtime would, and returns what it has to
// tell.
func (w *world) commit(t *testing.T, c change) Claim {
	t.Helper()
	var claim Claim
	err := pgx.BeginFunc(t.Context(), w.pool, func(tx pgx.Tx) error { return w.write(t.Context(), tx, c, &claim) })
	if err != nil {
		t.Fatal(err)
	}
	return claim
}

func (w *world) write(ctx context.Context, tx pgx.Tx, c change, claim *Claim) error {
	claim.Function = "tally"
	for _, subject := range c.subjects {
		e := &function.Entity[tally]{Head: function.Head{TenantID: tenant, Subject: subject}}
		b := &pgx.Batch{}
		b.Queue(`INSERT INTO millrace.entities (tenant_id, function, subject, version) VALUES ($1, 'tally', $2, 1)
			ON CONFLICT (tenant_id, function, subject) DO UPDATE SET version = entities.version + 1 RETURNING version`, tenant, subject).
			QueryRow(func(row pgx.Row) error { return row.Scan(&e.Version) })
		b.Queue(`INSERT INTO tallies VALUES ($1, $2, $3) ON CONFLICT (tenant_id, subject)
			DO UPDATE SET total = tallies.total + excluded.total RETURNING total`, tenant, subject, c.by).
			QueryRow(func(row pgx.Row) error { return row.Scan(&e.State.Total) })
		b.Queue(`INSERT INTO millrace.aggregates AS a VALUES ($1, 'tally', 'sum', 'all', 'total', $2, $3, 1)
			ON CONFLICT (tenant_id, function, name, key, field, bucket)
			DO UPDATE SET value = a.value + excluded.value, version = a.version + 1`, tenant, len(subject)%3, c.by)
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		claim.Entities = append(claim.Entities, Entity{TenantID: tenant, Subject: subject, Version: e.Version})
		claim.Aggregates = []Aggregate{{TenantID: tenant, Name: "sum", Key: "all"}}
		claim.Views = append(claim.Views, tallyViews(e)...)
		for n := range c.emits {
			claim.Emitted = append(claim.Emitted, note(subject, fmt.Sprintf("note/%s/%d/%d", subject, e.Version, n)))
		}
	}
	for n, letter := range c.letters {
		id := uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "%s %d", letter, n))
		claim.DeadLetters = append(claim.DeadLetters, id)
		if _, err := tx.Exec(ctx, `INSERT INTO millrace.dead_letters
			VALUES ($1, 'tally', '', '', '', '', '', 'undecided', 'malformed', E'no\nCloudEvent', $2, 'open', now())
			ON CONFLICT DO NOTHING`, id, []byte(letter)); err != nil {
			return err
		}
	}
	b := &pgx.Batch{}
	if err := claim.Queue(b, time.Now().UTC()); err != nil {
		return err
	}
	return tx.SendBatch(ctx, b).Close()
}

func note(subject, id string) *event.Event {
	return &event.Event{
		TenantID: tenant, Source: "/millrace/tally/" + subject, ID: id, Type: "note.taken.v1", Subject: subject,
		Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), ContentType: "application/json", IsJSON: true, Data: []byte(`{"text":"é"}`),
	}
}

// shows returns an error unless Redis shows all that PostgreSQL says, and
// nothing else. What it should show is computed here without the relay.
func (w *world) shows(ctx context.Context) error {
	want, err := w.expected(ctx)
	if err != nil {
		return err
	}
	different, err := views.Diff(ctx, w.redis, want)
	if err != nil {
		return err
	}
	strays, err := views.Strays(ctx, w.redis, "", want)
	if err != nil {
		return err
	}
	if len(different)+len(strays) > 0 {
		return fmt.Errorf("Redis shows something else: %v %v", different, strays)
	}
	return nil
}

func (w *world) expected(ctx context.Context) ([]views.View, error) {
	var want []views.View
	rows, err := w.pool.Query(ctx, `SELECT tenant_id, subject, version, total FROM millrace.entities JOIN tallies USING (tenant_id, subject)`)
	if err != nil {
		return nil, err
	}
	e := &function.Entity[tally]{}
	_, err = pgx.ForEachRow(rows, []any{&e.TenantID, &e.Subject, &e.Version, &e.State.Total}, func() error {
		want = append(want, tallyViews(e)...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	rows, err = w.pool.Query(ctx, `SELECT key, sum(value)::text, sum(version)::bigint FROM millrace.aggregates GROUP BY key`)
	if err != nil {
		return nil, err
	}
	var key, sum string
	var version int64
	_, err = pgx.ForEachRow(rows, []any{&key, &sum, &version}, func() error {
		want = append(want, views.Hash{Key: views.Key(tenant, "sum", key), Version: version, Fields: map[string]string{"total": sum}})
		return nil
	})
	return want, err
}

// settled returns an error unless all that was committed is told: Redis shows
// it, the outbox is empty, and Kafka has every emitted event and dead letter.
func (w *world) settled(ctx context.Context, claims ...Claim) error {
	errs := []error{w.shows(ctx)}
	var rows int
	if err := w.pool.QueryRow(ctx, `SELECT count(*) FROM millrace.outbox`).Scan(&rows); err != nil || rows > 0 {
		errs = append(errs, fmt.Errorf("%d rows are in the outbox: %w", rows, err))
	}
	for _, c := range claims {
		for _, e := range c.Emitted {
			if w.kafka.count("note-events", string(event.AppendJSON(nil, e))) == 0 {
				errs = append(errs, fmt.Errorf("event %s is not in Kafka", e.ID))
			}
		}
		if n := w.kafka.topic("tally-events-dead-letter"); n < len(c.DeadLetters) {
			errs = append(errs, fmt.Errorf("%d of %d dead letters are in Kafka", n, len(c.DeadLetters)))
		}
	}
	return errors.Join(errs...)
}

func mustSettle(t *testing.T, w *world, claims ...Claim) {
	t.Helper()
	if err := w.settled(t.Context(), claims...); err != nil {
		t.Fatal(err)
	}
}
