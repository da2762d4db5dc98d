package replay_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/caarlos0/env/v11"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/infra/deadletters"
	"github.com/millrace/millrace/infra/operations"
	"github.com/millrace/millrace/infra/records"
	"github.com/millrace/millrace/infra/replay"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/infra/traffic"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/kafka"
	"github.com/millrace/millrace/shared/outbox"
	"github.com/millrace/millrace/shared/runtime"
	"github.com/millrace/millrace/shared/views"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

// world is a Kafka, and a database in which all that it has was decided.
type world struct {
	replay.Config

	url    string
	client *kgo.Client
	relay  *outbox.Relay
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{url: stacktest.Postgres(t)}
	w.Kafka = replay.Kafka{Cluster: records.Cluster{Brokers: stacktest.Kafka(t)}, Group: func(function string) string { return "g-" + function }}
	w.Functions = functions.All()
	var err error
	if w.Limits, err = env.ParseAs[runtime.Limits](); err != nil {
		t.Fatal(err)
	}
	if w.Pool, err = pgxpool.New(t.Context(), w.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Pool.Close)
	if w.client, err = w.Kafka.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.client.Close)
	redis, err := views.Open(t.Context(), stacktest.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Close() })
	producer, err := outbox.NewProducer(w.Kafka.Brokers, kafka.ProducerConfig("test", kafka.Security{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = producer.Close() })
	w.relay = outbox.NewRelay(outbox.RelayConfig{Pool: w.Pool, Redis: redis, Producer: producer, Functions: w.Functions,
		Log: slog.New(slog.DiscardHandler)})

	w.send(t, "message.sent.v1 M1 conv-x", `{"author":"ann","text":"secret"}`)
	w.send(t, "message.redacted.v1 M2 conv-x", `{"message":"M1"}`)
	w.loseTail(t)
	w.redrive(t)
	w.produce(t, 600)
	w.settle(t)
	return w
}

// loseTail has a fill come that a lost decision emitted, and then the one that is
// emitted in its place.
func (w *world) loseTail(t *testing.T) {
	t.Helper()
	w.send(t, "position.fill-booked.v1 position/acct-lost/1 acct-lost", `{"instrument":"GONE","side":"buy","quantity":"1","price":"1","currency":"USD"}`,
		"ce_source", "/millrace/trade/acct-lost", "ce_sequence", "1", "ce_millracedecision", "1-0123456789abcdef")
	w.settle(t)
	w.send(t, "trade.executed.v1 T-lost acct-lost", `{"instrument":"AAPL","side":"buy","quantity":"5","price":"10","currency":"USD"}`)
	w.settle(t)
	var reasons string
	err := w.Pool.QueryRow(t.Context(), `SELECT string_agg(reason, ' ') FROM millrace.dead_letters WHERE subject = 'acct-lost'`).Scan(&reasons)
	if err != nil || reasons != "not-emitted" {
		t.Fatalf("the dead letters are of %q, error %v", reasons, err)
	}
}

// redrive has events refused, others decided after them, and the refused ones
// redriven: X1 twice, refused again and then applied, and the fill of T4, which a
// function emitted.
func (w *world) redrive(t *testing.T) {
	t.Helper()
	const price = `"quantity":"5","price":"10","currency":`
	executed := func(id, currency string) {
		w.send(t, "trade.executed.v1 "+id+" acct-x", `{"instrument":"AAPL","side":"buy",`+price+`"`+currency+`"}`)
	}
	executed("T1", "USD")
	executed("T2", "USD")
	w.send(t, "trade.cancelled.v1 X1 acct-x", `{"trade":"T5","reason":"typo"}`) // not executed yet
	w.settle(t)
	w.send(t, "trade.amended.v1 A1 acct-x", `{"trade":"T1","quantity":"7","price":"10"}`)
	executed("T3", "USD")
	executed("T4", "EUR")
	w.settle(t)
	w.redriveAll(t)
	executed("T5", "USD")
	w.settle(t)
	w.redriveAll(t)
	executed("T6", "USD")
	w.settle(t)
	const want = "A1:applied T1:applied T2:applied T3:applied T4:applied T5:applied T6:applied X1:applied X1:refused X1:refused"
	var got string
	err := w.Pool.QueryRow(t.Context(), `SELECT string_agg(id || ':' || outcome, ' ' ORDER BY id, outcome)
		FROM millrace.audit WHERE function = 'trade' AND subject = 'acct-x'`).Scan(&got)
	if err != nil || got != want {
		t.Fatalf("got  %s\nwant %s, error %v", got, want, err)
	}
}

// settle decides all there is; the second time it is what the first one emitted.
func (w *world) settle(t *testing.T) {
	t.Helper()
	for range 2 {
		w.commit(t)
		w.run(t, w.Config)
		if _, err := w.relay.Sweep(t.Context(), 0, 500); err != nil {
			t.Fatal(err)
		}
	}
	w.commit(t)
}

// redriveAll has every refused dead letter of acct-x decided again; its record
// comes twice.
func (w *world) redriveAll(t *testing.T) {
	t.Helper()
	producer, err := sarama.NewSyncProducer(w.Kafka.Brokers, kafka.CommandConfig("test", kafka.Security{}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = producer.Close() }()
	for range 2 {
		all := deadletters.Selection{Subjects: []string{"acct-x"}, States: []string{deadletters.Open, deadletters.Redriving}}
		sent := 0
		err := deadletters.Redrive(t.Context(), w.Pool, producer, all, operations.Operator{Who: "ann"}, func(_ context.Context, page []deadletters.Sent) error {
			sent += len(page)
			return nil
		})
		if err != nil || sent != 2 {
			t.Fatalf("redrove %d, error %v", sent, err)
		}
	}
	w.settle(t)
}

// produce sends traffic with every fault, and commits it as if it were taken.
func (w *world) produce(t *testing.T, events int) {
	t.Helper()
	settings := traffic.Defaults()
	settings.Events, settings.Rate, settings.Start, settings.Tenants, settings.Sequences = events, 0, time.Now(), 3, true
	settings.Duplicates, settings.Reorder, settings.Gaps, settings.OpenGaps, settings.Poison = 0.05, 0.05, 0.03, 0.5, 0.02
	generator, err := traffic.New(settings)
	if err != nil {
		t.Fatal(err)
	}
	var all []*kgo.Record
	for {
		r, ok := generator.Next()
		if !ok {
			break
		}
		record := &kgo.Record{Topic: r.Topic, Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.Name, Value: []byte(h.Value)})
		}
		all = append(all, record)
	}
	if err := w.client.ProduceSync(t.Context(), all...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	w.commit(t)
}

// send sends one event: "type id subject", its data, and names and values of more
// headers.
func (w *world) send(t *testing.T, words, data string, more ...string) {
	t.Helper()
	var eventType, id, subject string
	if _, err := fmt.Sscan(words, &eventType, &id, &subject); err != nil {
		t.Fatal(err)
	}
	family, _, _ := strings.Cut(eventType, ".")
	record := &kgo.Record{Topic: topics.Events(family), Key: []byte(subject), Value: []byte(data)}
	headers := map[string]string{"ce_specversion": "1.0", "ce_id": id, "ce_source": "/desk", "ce_type": eventType,
		"ce_tenantid": "acme", "ce_subject": subject, "ce_time": "2026-11-24T09:00:00Z", "content-type": "application/json"}
	for n := 0; n < len(more); n += 2 {
		headers[more[n]] = more[n+1]
	}
	for name, value := range headers {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	if err := w.client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// commit says that the triggers are through with all there is.
func (w *world) commit(t *testing.T) {
	t.Helper()
	admin := kadm.NewClient(w.client)
	for _, fn := range w.Functions {
		ends, err := admin.ListEndOffsets(t.Context(), topics.Events(fn.FunctionName()))
		if err != nil {
			t.Fatal(err)
		}
		if err := admin.CommitAllOffsets(t.Context(), w.Kafka.Group(fn.FunctionName()), ends.Offsets()); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) run(t *testing.T, c replay.Config) replay.Result {
	t.Helper()
	result, err := replay.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func (w *world) execute(t *testing.T, sql string) {
	t.Helper()
	if _, err := w.Pool.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// checksum is of all that replaying must not change.
func (w *world) checksum(t *testing.T) (sum string) {
	t.Helper()
	const all = `
SELECT concat_ws(' ', (SELECT count(*) FROM millrace.audit), (SELECT count(*) FROM millrace.outbox),
       (SELECT md5(string_agg(e::text, ' ' ORDER BY e::text)) FROM millrace.entities AS e),
       (SELECT md5(string_agg(s::text, ' ' ORDER BY s::text)) FROM millrace.streams AS s),
       (SELECT md5(string_agg(p::text, ' ' ORDER BY p::text)) FROM millrace.parked AS p),
       (SELECT md5(string_agg(d::text, ' ' ORDER BY d::text)) FROM millrace.dead_letters AS d),
       (SELECT md5(string_agg(a::text, ' ' ORDER BY a::text)) FROM millrace.aggregates AS a))`
	if err := w.Pool.QueryRow(t.Context(), all).Scan(&sum); err != nil {
		t.Fatal(err)
	}
	return sum
}

// TestIntoLiveChangesNothing: from Kafka and from the audit log, delivered and
// only looked at.
func TestIntoLiveChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.checksum(t)
	for _, fromAudit := range []bool{false, true} {
		for _, dryRun := range []bool{true, false} {
			c := w.Config
			c.FromAudit, c.DryRun = fromAudit, dryRun
			r := w.run(t, c)
			if r.Changes() > 0 || r.Duplicates < 500 || len(r.Rest) > 0 {
				t.Errorf("from the audit log %t, dry %t: %+v", fromAudit, dryRun, r)
			}
			if !fromAudit && (r.Waiting == 0 || r.Conflicts == 0 || r.DeadLetters == 0 || r.Unreadable == 0) {
				t.Errorf("the traffic is too tame: %+v", r)
			}
			if fromAudit && r.Redacted == 0 {
				t.Errorf("nothing was redacted: %+v", r)
			}
		}
	}
	if after := w.checksum(t); after != before {
		t.Errorf("was %s\nis  %s", before, after)
	}
}

// TestWhatWasLostIsFound: an event that was taken and not decided, an identity
// that is not remembered any more, and the same event with another content.
func TestWhatWasLostIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.Config
	c.Functions = slices.DeleteFunc(slices.Clone(w.Functions), func(fn function.Definition) bool { return fn.FunctionName() != "agent" })
	w.execute(t, `DELETE FROM millrace.seen WHERE function = 'agent'`)
	if r := w.run(t, c); r.Changes() > 0 || r.Duplicates == 0 {
		t.Errorf("identities are not remembered: %+v", r)
	}
	w.send(t, "agent.signed-in.v1 LOST agent-x", `{"skills":["fr"]}`)
	w.send(t, "agent.signed-in.v1 LOST agent-x", `{"skills":["de"]}`)
	w.commit(t)
	dry := c
	dry.DryRun = true
	if r := w.run(t, dry); r.Unknown != 2 || len(r.Rows) == 0 || !strings.Contains(strings.Join(r.Rows, "\n"), "unknown: tenant acme, source /desk, id LOST") {
		t.Errorf("a dry run: %+v", r)
	}
	if r := w.run(t, c); r.Applied != 1 || r.Dead != 1 || !strings.Contains(strings.Join(r.Rows, "\n"), "dead letter, identity-conflict: ") {
		t.Errorf("delivered: %+v", r)
	}
	if r := w.run(t, c); r.Changes() != 0 || r.Conflicts == 0 {
		t.Errorf("delivered again: %+v", r)
	}
}

// TestShadow: a shadow of Kafka and one of the audit log are what the live audit
// log gives; one that is made of less is not.
func TestShadow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, fromAudit := range []bool{false, true} {
		c := w.Config
		c.FromAudit, c.Shadow = fromAudit, w.url
		r := w.run(t, c)
		if !fromAudit && r.DeadLetters != 1 {
			t.Errorf("of what nobody emitted %d were left out", r.DeadLetters)
		}
		var left int
		err := w.Pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_database WHERE datname = $1`, r.Shadow).Scan(&left)
		if err != nil || left > 0 || !strings.HasPrefix(r.Shadow, "millrace_shadow_") {
			t.Errorf("shadow %q was left, error %v", r.Shadow, err)
		}
		if r.Compared == nil || !r.Compared.Holds() || r.Compared.Checked.Behind > 0 || r.Compared.Checked.Entities < 50 {
			t.Errorf("from the audit log %t: %+v", fromAudit, r)
		}
	}
	w.execute(t, `DELETE FROM millrace.audit WHERE function = 'message' AND version = 1`)
	c := w.Config
	c.Shadow = w.url
	if r := w.run(t, c); r.Compared == nil || r.Compared.Holds() {
		t.Errorf("the audit log lacks rows: %+v", r)
	}
}

// TestStoppedAndGoneOn: what a stopped replay did and what it says is left are
// all there is, once.
func TestStoppedAndGoneOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, fromAudit := range []bool{false, true} {
		c := w.Config
		c.FromAudit, c.DryRun = fromAudit, true
		c.Functions = slices.DeleteFunc(slices.Clone(w.Functions), func(fn function.Definition) bool { return fn.FunctionName() != "message" })
		all := w.run(t, c)
		want := all.Events()
		c.Rate = 1e6
		ctx, stop := context.WithCancel(t.Context())
		c.Progress = func(string, int64, int64) { stop() }
		first, err := replay.Run(ctx, c)
		if err != nil || len(first.Rest) != 1 {
			t.Fatalf("stopped: %+v, error %v", first, err)
		}
		c.Progress, c.Kafka.Offsets, c.After = nil, first.Rest[0].Offsets, first.Rest[0].After
		second := w.run(t, c)
		// What was delivered since it could say where to go on comes again.
		if first.Events() == 0 || first.Events()+second.Events() < want || second.Events() > want {
			t.Errorf("%d events and then %d, of %d", first.Events(), second.Events(), want)
		}
		c.After, c.Kafka.Offsets = nil, map[int32]replay.Range{0: {From: 1, To: 3}}
		if r := w.run(t, c); !fromAudit && r.Events() > 2 {
			t.Errorf("a part of a partition: %+v", r)
		}
	}
	c := w.Config
	c.DryRun = true
	c.Kafka.Since = time.Now().Add(time.Hour)
	if r := w.run(t, c); r.Events() != 0 {
		t.Errorf("after the end: %+v", r)
	}
	c.Kafka.Since, c.Kafka.Until = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if r := w.run(t, c); r.Events() < 600 {
		t.Errorf("an hour: %+v", r)
	}
}
