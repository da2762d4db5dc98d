package deadletters_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/millrace/millrace/functions/trade"
	"github.com/millrace/millrace/infra/deadletters"
	"github.com/millrace/millrace/infra/operations"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/outbox"
	"github.com/millrace/millrace/shared/runtime"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

// topic stands in for Kafka: what is sent is delivered when the test says so.
type topic struct {
	sarama.SyncProducer

	mu      sync.Mutex
	records [][]byte
	fails   error
}

func (k *topic) SendMessages(messages []*sarama.ProducerMessage) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fails != nil {
		return k.fails
	}
	for _, m := range messages {
		value, err := m.Value.Encode()
		if err != nil {
			return err
		}
		k.records = append(k.records, value)
	}
	return nil
}

// world is the function trade with a database.
type world struct {
	topic

	pool      *pgxpool.Pool
	processor *runtime.Processor
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	var err error
	if w.pool, err = pgxpool.New(t.Context(), stacktest.Postgres(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.pool.Close)
	w.processor = runtime.NewProcessor(trade.New(), w.pool, runtime.Limits{Drain: 100, Parked: 100, DeadLetters: 1000},
		slog.New(slog.DiscardHandler), func(outbox.Claim) {})
	return w
}

func (w *world) process(t *testing.T, raw ...string) {
	t.Helper()
	var events []event.Received
	for _, one := range raw {
		events = append(events, event.ParseStructured([]byte(one)))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := w.processor.Process(ctx, events); err != nil {
		t.Fatal(err)
	}
}

// deliver hands all that was sent over, twice.
func (w *world) deliver(t *testing.T) {
	t.Helper()
	for range 2 {
		for _, value := range w.records {
			w.process(t, string(value))
		}
	}
}

func (w *world) text(t *testing.T, sql string) (out string) {
	t.Helper()
	if err := w.pool.QueryRow(t.Context(), sql).Scan(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func expect(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func of(kind, id, data string) string {
	return fmt.Sprintf(`{"specversion":"1.0","type":"trade.%s.v1","id":%q,"source":"/desk","subject":"a","tenantid":"acme","time":"2026-03-14T09:26:53Z","data":%s}`, kind, id, data)
}

func executed(id string) string {
	return of("executed", id, `{"instrument":"ACME","side":"buy","quantity":"1","price":"1","currency":"EUR"}`)
}

func cancelled(id string) string { return of("cancelled", "C"+id, fmt.Sprintf(`{"trade":%q}`, id)) }

// refusals makes n trades whose cancellations overtook them: each of these is a
// dead letter, and applies when it is redriven.
func (w *world) refusals(t *testing.T, n int) {
	t.Helper()
	var all []string
	for i := range n {
		all = append(all, cancelled(fmt.Sprint("T", i)))
	}
	for i := range n {
		all = append(all, executed(fmt.Sprint("T", i)))
	}
	for part := range slices.Chunk(all, 200) {
		w.process(t, part...)
	}
}

var open = deadletters.Selection{States: []string{deadletters.Open, deadletters.Redriving}}

func (w *world) redrive(t *testing.T) (sent int, err error) {
	t.Helper()
	err = deadletters.Redrive(t.Context(), w.pool, w, open, operations.Operator{Who: "ann"}, func(_ context.Context, page []deadletters.Sent) error {
		for _, s := range page {
			if s.Err == nil {
				sent++
			}
		}
		return nil
	})
	return sent, err
}

const (
	states    = `SELECT coalesce(string_agg(state || ' ' || n, ', ' ORDER BY state), '') FROM (SELECT state, count(*) AS n FROM millrace.dead_letters GROUP BY state) AS s`
	decisions = `SELECT string_agg(decisions || 'x' || n, ' ' ORDER BY decisions) FROM (
		SELECT decisions, count(*) AS n FROM (SELECT id, count(*) AS decisions FROM millrace.audit GROUP BY id) AS a GROUP BY decisions) AS b`
)

// Two operators redrive everything at once, over two pages, and the
// function gets each record twice: each event is decided once more.
func TestTwoRedrivesAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const n = 210
	w.refusals(t, n)
	var group errgroup.Group
	for range 2 {
		group.Go(func() error {
			_, err := w.redrive(t)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	expect(t, w.text(t, states), fmt.Sprintf("redriving %d", n))
	if len(w.records) < n || len(w.records) > 2*n {
		t.Errorf("%d records", len(w.records))
	}
	w.deliver(t)
	expect(t, w.text(t, states), fmt.Sprintf("redriven %d", n))
	expect(t, w.text(t, decisions), fmt.Sprintf("1x%d 2x%d", n, n))
	expect(t, w.text(t, `SELECT string_agg(DISTINCT outcome, ' ') FROM millrace.seen`), "applied")
}

// A redrive ends between its two steps: the dead letters are redriving, and no
// record is in Kafka. The same command again mends it.
func TestRedriveEndsBetweenItsSteps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.refusals(t, 3)
	w.fails = errors.New("Kafka is away")
	if _, err := w.redrive(t); err == nil || !strings.Contains(err.Error(), "run it again") {
		t.Errorf("error %v", err)
	}
	expect(t, w.text(t, states), "redriving 3")
	ids := make([]uuid.UUID, 0, 3)
	page, _, err := deadletters.List(t.Context(), w.pool, open, uuid.Nil, 10)
	for _, l := range page {
		ids = append(ids, l.ID)
	}
	gone, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	fates, errAwait := deadletters.Await(gone, w.pool, ids)
	if err = errors.Join(err, errAwait); err != nil || len(fates) != 3 || fates[0].Outcome != "waiting" {
		t.Errorf("%+v, error %v", fates, err)
	}

	w.fails = nil
	if sent, err := w.redrive(t); sent != 3 || err != nil {
		t.Errorf("%d sent, error %v", sent, err)
	}
	w.deliver(t)
	expect(t, w.text(t, states), "redriven 3")
	expect(t, w.text(t, decisions), "1x3 2x3")
	if fates, err := deadletters.Await(t.Context(), w.pool, ids); err != nil || len(fates) != 3 || fates[0].Outcome != "applied" || fates[0].Version != 7 {
		t.Errorf("%+v, error %v", fates, err)
	}
	if sent, err := w.redrive(t); sent != 0 || err != nil {
		t.Errorf("again: %d sent, error %v", sent, err)
	}
	expect(t, w.text(t, `SELECT string_agg(what || ' ' || who, ', ') FROM millrace.operations`), strings.Repeat("redrive ann, ", 5)+"redrive ann")
}

// What is dropped stays dropped, though its event and its redrive still come.
func TestDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bad := of("executed", "B", `{"instrument":1}`)
	w.process(t, bad)
	if _, err := w.redrive(t); err != nil {
		t.Fatal(err)
	}
	s := deadletters.Selection{States: []string{deadletters.Redriving}}
	by := operations.Operator{Who: "ann", Why: "nonsense"}
	if err := deadletters.Drop(t.Context(), w.pool, s, operations.Operator{Who: "ann"}, func([]deadletters.Letter) {}); err == nil {
		t.Error("dropped without a reason why")
	}
	if err := deadletters.Drop(t.Context(), w.pool, s, by, func([]deadletters.Letter) {}); err != nil {
		t.Fatal(err)
	}
	w.deliver(t)
	w.process(t, bad)
	expect(t, w.text(t, states), "dropped 1")
}

func TestUnfit(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"nonsense":                            "its bytes are no event",
		`{"specversion":"1.0","time":"noon"}`: "is not RFC 3339",
		executed("x"):                         "",
		of("executed", "x", `"`+strings.Repeat("x", 1<<20)+`"`): "too large for Kafka",
	} {
		err := deadletters.Unfit(&deadletters.Whole{Letter: deadletters.Letter{Function: "trade"}, Event: []byte(raw)})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.40s: %v, want %q", raw, err, want)
		}
	}
	for fn, want := range map[string]string{"message": "only its attributes were kept", "trade": "specversion"} {
		w := &deadletters.Whole{Letter: deadletters.Letter{Function: fn}, Event: event.Envelope([]byte(`{"specversion":"2","id":"M-1","data":{"text":"x"}}`))}
		if err := deadletters.Unfit(w); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("attributes only of %s: %v", fn, err)
		}
	}
	if err := deadletters.Unfit(&deadletters.Whole{Letter: deadletters.Letter{Function: "weather"}}); err == nil {
		t.Error("of a function that is not there")
	}
}
