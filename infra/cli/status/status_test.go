package status_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/infra/cli/send"
	"github.com/millrace/millrace/infra/cli/status"
	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/kafka"
	"github.com/millrace/millrace/shared/views"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

func TestSnapshotTellsWhatWaits(t *testing.T) {
	t.Parallel()
	ready := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(ready.Close)
	at := platform.Addresses{
		KafkaBrokers: stacktest.Kafka(t), DatabaseURL: stacktest.Postgres(t),
		Groups: map[string]string{"trade": "", "ledger": ""},
		Processes: []platform.ProcessAddress{
			{Name: "trade", Kind: platform.KindFunction, Function: "trade", URL: ready.URL},
			{Name: "trade-trigger", Kind: platform.KindTrigger, Function: "trade", URL: "http://127.0.0.1:1", Log: "trade-trigger.log"},
			{Name: "relay", Kind: platform.KindRelay, URL: ready.URL},
		},
	}
	produce(t, at.KafkaBrokers, 3)
	conn := connect(t, at.DatabaseURL)
	execute(t, conn, `INSERT INTO millrace.parked (tenant_id, function, subject, source, sequence, id, event, parked_at) VALUES ('t', 'trade', 's', 'd', 2, 'x', '{}', now())`)
	execute(t, conn, `INSERT INTO millrace.dead_letters (id, function, tenant_id, source, event_id, type, subject, kind, reason, cause, event, created_at)
		SELECT gen_random_uuid(), 'ledger', 't', 'd', n, '', '', 'undecided', '', '', '', now() FROM generate_series(1, 4) AS n`)
	execute(t, conn, `INSERT INTO millrace.outbox (function, created_at) VALUES ('trade', now() - interval '90 seconds')`)

	// Of what the trigger put into the dead-letter topic one was decided later, one
	// is a dead letter of the database, and so is what the relay put there.
	letters(t, at.KafkaBrokers, "ledger-events-dead-letter",
		letter{headers: map[string]string{"millrace-origin": "x", "ce_id": "lost", "ce_source": "d", "ce_tenantid": "t", "ce_specversion": "1.0"}},
		letter{headers: map[string]string{"millrace-origin": "x", "content-type": "application/cloudevents+json"}, value: `{"specversion":"1.0","id":"decided","source":"d","tenantid":"t"}`},
		letter{headers: map[string]string{"millrace-origin": "x", "content-type": "application/cloudevents+json"}, value: `{"specversion":"1.0","id":"1","source":"d","tenantid":"t"}`},
		letter{headers: map[string]string{"millrace-origin": "x"}, value: "torn"},
		letter{headers: map[string]string{"content-type": "application/cloudevents+json"}, value: `{"specversion":"1.0","id":"2","source":"d","tenantid":"t"}`})
	// What a Broker brought and names no function; one of them was sent again since.
	letters(t, at.KafkaBrokers, "events-dead-letter",
		letter{headers: map[string]string{"millrace-origin": "http"}, value: "torn"},
		letter{headers: map[string]string{"millrace-origin": "http", "ce_id": "decided", "ce_source": "d", "ce_tenantid": "t", "ce_specversion": "1.0", "ce_type": "leger.posted.v1"}})
	execute(t, conn, `INSERT INTO millrace.seen (tenant_id, source, id, digest, outcome, function, subject, version, decided_at)
		VALUES ('t', 'd', 'decided', decode(repeat('00', 32), 'hex'), 'applied', 'ledger', 's', 1, now())`)

	source := status.NewSource(at)
	t.Cleanup(func() { _ = source.Close() })
	source.Take(t.Context()) // the second counts nothing twice
	s := source.Take(t.Context())
	if len(s.Troubles) > 0 {
		t.Fatal(s.Troubles)
	}
	if s.Well() {
		t.Error("all seems well though a trigger is down")
	}
	before := s
	before.At = s.At.Add(-2 * time.Second)
	before.Functions = []status.Function{{Name: "trade", Done: -500}}
	var out strings.Builder
	if err := status.Render(&out, before, s); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"trade     up     DOWN     250       3    1       0",
		"ledger    -      -        0         0    0       4",
		"ledger: 2 dead letters are in topic ledger-events-dead-letter only",
		"1 dead letter is in topic events-dead-letter only: it names no function",
		"relay up, outbox 1 row, 1m",
		"trade-trigger is not ready", "trade-trigger.log",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, out.String())
		}
	}
}

func TestSnapshotWithoutServersIsTrouble(t *testing.T) {
	t.Parallel()
	source := status.NewSource(platform.Addresses{
		DatabaseURL: "postgres://u:secret@127.0.0.1:1/x?sslmode=disable", Groups: map[string]string{"trade": ""},
	})
	s := source.Take(t.Context())
	if len(s.Troubles) != 2 || s.Well() {
		t.Errorf("%+v", s)
	}
	for _, err := range s.Troubles {
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("a password is shown: %v", err)
		}
	}
	var out strings.Builder
	if err := status.Render(&out, s, s); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"trade     -      -        ?         ?    ?       ?", "outbox ?\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, out.String())
		}
	}
}

func TestEntityShowsItsStateAndHistory(t *testing.T) {
	t.Parallel()
	conn := connect(t, stacktest.Postgres(t))
	shown := openRedis(t)
	name, err := status.ParseEntityName("acme/ledger/desk/7")
	if err != nil || name.Subject != "desk/7" {
		t.Fatalf("%+v, error %v", name, err)
	}
	if _, err := status.ReadEntity(t.Context(), conn, shown, name); !errors.Is(err, status.ErrNoEntity) {
		t.Errorf("before anything was decided: %v", err)
	}
	execute(t, conn, `INSERT INTO millrace.entities (tenant_id, function, subject, version, counters) VALUES ('acme', 'ledger', 'desk/7', 8, '{"trade/a": 5, "trade/b": 1}')`)
	execute(t, conn, `INSERT INTO millrace.streams (tenant_id, function, subject, source, position, parked) VALUES ('acme', 'ledger', 'desk/7', '/books', 7, 12)`)
	execute(t, conn, `INSERT INTO millrace.aggregates (tenant_id, function, name, key, field, bucket, value, version)
		VALUES ('acme', 'ledger', 'balance', 'desk/7', 'EUR', 0, 1.5, 3), ('acme', 'ledger', 'balance', 'desk/7', 'EUR', 1, 2, 4)`)
	for n := range 8 {
		execute(t, conn, `INSERT INTO millrace.audit (month, tenant_id, function, subject, version, outcome, reason, source, id, type, time, digest, data, decided_at)
			VALUES ('2026-01-01', 'acme', 'ledger', 'desk/7', $1::bigint, 'refused', 'unbalanced', '/books', 'e' || $1::text, 'ledger.posted.v1', '2026-01-02', decode(repeat('00', 32), 'hex'), '{}', now())`, n+1)
	}
	for n := range 12 {
		execute(t, conn, `INSERT INTO millrace.parked (tenant_id, function, subject, source, sequence, id, event, parked_at)
			VALUES ('acme', 'ledger', 'desk/7', '/books', $1::bigint, 'p' || $1::text, '{"type": "ledger.posted.v1"}', '2026-01-03')`, n+10)
	}
	execute(t, conn, `INSERT INTO millrace.dead_letters (id, function, tenant_id, source, event_id, type, subject, kind, reason, cause, event, state, created_at)
		VALUES ('00000000-0000-0000-0000-000000000001', 'ledger', 'acme', '/books', 'e8', 'ledger.posted.v1', 'desk/7', 'refused', 'unbalanced', $1, '', 'open', '2026-01-05'),
		       ('00000000-0000-0000-0000-000000000002', 'ledger', 'acme', '/books', 'd1', 'ledger.posted.v9', 'desk/7', 'undecided', 'unknown-type', 'no rule for it', '', 'open', '2026-01-04'),
		       ('00000000-0000-0000-0000-000000000003', 'ledger', 'acme', '/books', 'd2', 'ledger.posted.v1', 'desk/7', 'undecided', 'bad-payload', 'torn', '', 'dropped', '2026-01-04')`,
		"debits are\n"+strings.Repeat("1", 300))
	if err := shown.HSet(t.Context(), "millrace:{acme:balances:desk%2F7}", "EUR", "3.5").Err(); err != nil {
		t.Fatal(err)
	}

	e, err := status.ReadEntity(t.Context(), conn, shown, name)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := status.RenderEntity(&out, e); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"acme/ledger/desk/7 is at version 8", "emitted 5 events to trade/a\n  emitted 1 event to trade/b\n", "/books     7              12      8 to 9",
		"10      2026-01-03T00:00:00Z  ledger.posted.v1  p10  /books", "... and more than these 10\n",
		"00000000-0000-0000-0000-000000000002  2026-01-04T00:00:00Z  ledger.posted.v9  d1  undecided: unknown-type: no rule for it",
		"8        2026-01-02T00:00:00Z  ledger.posted.v1  e8  refused: unbalanced: debits are 111", "11...\n",
		"7        2026-01-02T00:00:00Z  ledger.posted.v1  e7  refused: unbalanced\n",
		"Redis millrace:{acme:balances:desk%2F7}\n  EUR  3.5",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, out.String())
		}
	}
	for _, unwanted := range []string{"e3", "p20", "d2", strings.Repeat("1", 200)} {
		if strings.Contains(out.String(), unwanted) {
			t.Errorf("it shows %s too:\n%s", unwanted, out.String())
		}
	}
}

// TestEntityThatOnlyFailedIsShown: its first event is a dead letter, so that
// there is no row of the entity.
func TestEntityThatOnlyFailedIsShown(t *testing.T) {
	t.Parallel()
	conn := connect(t, stacktest.Postgres(t))
	shown := openRedis(t)
	execute(t, conn, `INSERT INTO millrace.dead_letters (id, function, tenant_id, source, event_id, type, subject, kind, reason, cause, event, created_at)
		VALUES (gen_random_uuid(), 'trade', 'acme', 'd', 'd1', 'trade.executed.v1', 's', 'undecided', 'bad-payload', 'torn', '', now())`)
	e, err := status.ReadEntity(t.Context(), conn, shown, status.EntityName{Tenant: "acme", Function: "trade", Subject: "s"})
	if err != nil || len(e.DeadLetters) != 1 {
		t.Errorf("%+v, error %v", e, err)
	}
}

// TestEntityShowsItsBits: of a bitmap that it shares, an entity's own bit.
func TestEntityShowsItsBits(t *testing.T) {
	t.Parallel()
	conn := connect(t, stacktest.Postgres(t))
	shown := openRedis(t)
	for n, agent := range []string{"on", "off", "new"} {
		execute(t, conn, `INSERT INTO millrace.entities (tenant_id, function, subject, version) VALUES ('acme', 'agent', $1, 1)`, agent)
		execute(t, conn, `INSERT INTO millrace.agents (tenant_id, agent, name, status, reason, since, session, skills, features, version)
			VALUES ('acme', $1, '', 'busy', '', now(), 1, '{}', '{}', 1)`, agent)
		if agent != "new" {
			bit := views.Bit{Key: "millrace:{acme:presence}", Member: agent, Version: 1, On: n == 0}
			if _, err := views.Apply(t.Context(), shown, []views.View{bit}, views.Claim{Deadline: time.Now().Add(time.Minute)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for agent, want := range map[string]string{"on": "on  on", "off": "off  off", "new": "new  not in it"} {
		e, err := status.ReadEntity(t.Context(), conn, shown, status.EntityName{Tenant: "acme", Function: "agent", Subject: agent})
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := status.RenderEntity(&out, e); err != nil {
			t.Fatal(err)
		}
		if want := "Redis millrace:{acme:presence}\n  " + want + "\n"; !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, out.String())
		}
	}
}

// TestEntityShowsScoresInFull: those that are times are read as such.
func TestEntityShowsScoresInFull(t *testing.T) {
	t.Parallel()
	conn := connect(t, stacktest.Postgres(t))
	shown := openRedis(t)
	execute(t, conn, `INSERT INTO millrace.entities (tenant_id, function, subject, version) VALUES ('acme', 'conversation', 'c', 1)`)
	execute(t, conn, `INSERT INTO millrace.conversations (tenant_id, conversation, priority, queues, opened_at) VALUES ('acme', 'c', 0, '{}', now())`)
	if err := shown.ZAdd(t.Context(), "millrace:{acme:active-conversations}", redis.Z{Score: 1795165200, Member: "c"}).Err(); err != nil {
		t.Fatal(err)
	}
	e, err := status.ReadEntity(t.Context(), conn, shown, status.EntityName{Tenant: "acme", Function: "conversation", Subject: "c"})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := status.RenderEntity(&out, e); err != nil || !strings.Contains(out.String(), "\n  c  1795165200\n") {
		t.Errorf("error %v:\n%s", err, out.String())
	}
}

func TestEntityNamesAreChecked(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "a", "a/b", "a/b/", "/b/c", "a//c"} {
		if _, err := status.ParseEntityName(bad); err == nil {
			t.Errorf("%q is taken for an entity", bad)
		}
	}
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func openRedis(t *testing.T) redis.UniversalClient {
	t.Helper()
	client, err := views.Open(t.Context(), stacktest.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func execute(t *testing.T, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func produce(t *testing.T, brokers []string, n int) {
	t.Helper()
	producer, err := send.NewProducer(brokers, kafka.Security{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = producer.Close() }()
	d := send.Defaults{Type: "trade.executed.v1", Tenant: "t", Subject: "s", Data: "{}"}
	for range n {
		e, err := d.FromFlags()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := producer.Send([]send.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
}

type letter struct {
	headers map[string]string
	value   string
}

// letters puts records into a dead-letter topic.
func letters(t *testing.T, brokers []string, topic string, all ...letter) {
	t.Helper()
	producer, err := sarama.NewSyncProducer(brokers, kafka.CommandConfig("test", kafka.Security{}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = producer.Close() }()
	for _, l := range all {
		m := &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(l.value)}
		for name, value := range l.headers {
			m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(name), Value: []byte(value)})
		}
		if _, _, err := producer.SendMessage(m); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRenderWhatIsInTopicsOnly(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	one := status.Snapshot{Functions: []status.Function{{Name: "ledger", TopicOnly: 1}}, OfNoFunction: 2}
	const want = `
ledger: 1 dead letter is in topic ledger-events-dead-letter only: no function could read or keep it
2 dead letters are in topic events-dead-letter only: they name no function
`
	if err := status.Render(&out, one, one); err != nil || !strings.Contains(out.String(), want) {
		t.Errorf("error %v:\n%s", err, out.String())
	}
}
