package send_test

import (
	"context"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/infra/cli/send"
	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/kafka"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

func TestReadTakesArraysLinesAndSingleEvents(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		input string
		want  string
	}{
		"lines":        {"{\"id\":\"1\"}\n\n{\"id\":\"2\"}\n", `{"id":"1"} {"id":"2"}`},
		"array":        {` [ {"id":"1"}, {"id":"2"} ] `, `{"id":"1"} {"id":"2"}`},
		"pretty event": {"{\n  \"id\": \"1\"\n}\n", "{\n  \"id\": \"1\"\n}"},
		"nothing":      {"", ""},
		"empty array":  {"[]", ""},
		"no object":    {`{"id":"1"} 7`, `{"id":"1"} line 1, event 2: want a JSON object`},
		"torn":         {`{"id":"1"}` + "\n" + `{"id":`, `{"id":"1"} line 2, event 2: `},
		"no JSON":      {`{"id":"1"}` + "\n" + `{bad`, `{"id":"1"} line 2, event 2: no JSON: invalid character 'b'`},
		"torn array":   {"[{\"id\":\"1\"},\n\n", `{"id":"1"} line 3, event 2: `},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for value, err := range send.Read(strings.NewReader(test.input)) {
				if err != nil {
					got = append(got, err.Error())
					continue
				}
				got = append(got, string(value.Value))
			}
			if all := strings.Join(got, " "); !strings.HasPrefix(all, test.want) || (test.want == "" && all != "") {
				t.Errorf("got %s\nwant %s", all, test.want)
			}
		})
	}
}

func TestInputSaysWhereItIs(t *testing.T) {
	t.Parallel()
	const input = "{\"id\":\"a\"}\n\n{\n  \"id\": \"b\"\n} {\"id\":7}\n" + `{"id":"c\n"}`
	var got []string
	for in, err := range send.Read(iotest.OneByteReader(strings.NewReader(input))) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, in.String())
	}
	if all := strings.Join(got, "; "); all != `line 1, event 1, id "a"; line 3, event 2, id "b"; line 5, event 3; line 6, event 4, id "c\n"` {
		t.Error(all)
	}
}

var defaults = send.Defaults{
	Type: "trade.executed.v1", Tenant: "acme", Subject: "account-1", Data: `{"n":1}`,
	Now: func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) },
}

func TestFromFlagsMakesAWholeEvent(t *testing.T) {
	t.Parallel()
	e, err := defaults.FromFlags()
	if err != nil {
		t.Fatal(err)
	}
	if e.Topic != "trade-events" || e.Key != "account-1" || e.Function != "trade" || e.Source != send.DefaultSource || len(e.ID) != 36 {
		t.Errorf("%+v", e)
	}
	got := event.ParseStructured(e.Value)
	if got.Err != nil || string(got.Event.Data) != `{"n":1}` || got.Event.Time.Format(time.RFC3339) != "2026-03-01T12:00:00Z" {
		t.Errorf("%s: %v", e.Value, got.Err)
	}
}

func TestCompleteLeavesWhatIsThere(t *testing.T) {
	t.Parallel()
	const own = `{"id":"mine","source":"/desk","type":"ledger.posted.v1","partitionkey":"p","data":{"amount":1.50}}`
	e, err := defaults.Complete([]byte(own))
	if err != nil {
		t.Fatal(err)
	}
	if e.ID != "mine" || e.Source != "/desk" || e.Topic != "ledger-events" || e.Key != "p" || e.Subject != "account-1" {
		t.Errorf("%+v", e)
	}
	if !strings.HasPrefix(string(e.Value), strings.TrimSuffix(own, "}")) {
		t.Errorf("the event was rewritten: %s", e.Value)
	}
}

func TestCompleteSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		defaults send.Defaults
		raw      string
		want     string
	}{
		"no tenant":       {send.Defaults{Type: "trade.executed.v1", Subject: "a"}, "{}", "tenantid is missing"},
		"bad time":        {send.Defaults{Type: "trade.executed.v1", Tenant: "t", Subject: "a", Time: "yesterday"}, "{}", "RFC 3339"},
		"unknown type":    {send.Defaults{Type: "weather.seen.v1", Tenant: "t", Subject: "a"}, "{}", "--topic"},
		"unchecked":       {send.Defaults{Type: "trade.executed.v1", Unchecked: true}, "{}", ""},
		"topic by itself": {send.Defaults{Type: "weather.seen.v1", Tenant: "t", Subject: "a", Topic: "trade-events"}, "{}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := test.defaults.Complete([]byte(test.raw))
			if (test.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
	bad := defaults
	bad.Data = "{"
	if _, err := bad.FromFlags(); err == nil || !strings.Contains(err.Error(), "--data") {
		t.Errorf("error %v", err)
	}
}

// TestWaitTellsEveryVerdict plays the function: it writes the rows that one
// would write, and marks the events as done.
func TestWaitTellsEveryVerdict(t *testing.T) {
	t.Parallel()
	brokers, url := stacktest.Kafka(t), stacktest.Postgres(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	seen(t, conn, "again", "applied", "-1 hour")

	waiter, err := send.NewWaiter(t.Context(), url, brokers, kafka.Security{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = waiter.Close() }()
	ids := []string{"applied", "refused", "again", "parked", "dead", "applied", "lost"}
	stored := produce(t, brokers, ids)
	seen(t, conn, "applied", "applied", "1 second")
	seen(t, conn, "refused", "refused", "1 second")
	execute(t, conn, `INSERT INTO millrace.streams (tenant_id, function, subject, source, position, parked) VALUES ('acme', 'trade', 'account-1', 'desk', 6, 1)`)
	execute(t, conn, `INSERT INTO millrace.parked (tenant_id, function, subject, source, sequence, id, event, parked_at) VALUES ('acme', 'trade', 'account-1', 'desk', 9, 'parked', '{}', now())`)
	execute(t, conn, `INSERT INTO millrace.dead_letters (id, function, tenant_id, source, event_id, type, subject, kind, reason, cause, event, created_at)
		VALUES (gen_random_uuid(), 'trade', 'acme', 'desk', 'dead', 'trade.executed.v1', 'account-1', 'undecided', 'bad-payload', 'price is missing', '', now()),
		       (gen_random_uuid(), 'trade', 'acme', 'desk', 'refused', 'trade.executed.v1', 'account-1', 'refused', 'no', 'the desk is closed', '', now())`)
	mark(t, brokers, stored)

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	outcomes, err := waiter.Wait(ctx, stored)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		verdict send.Verdict
		detail  string
	}{
		{send.Applied, ""}, {send.Refused, "no: the desk is closed"}, {send.Duplicate, "applied before"},
		{send.Parked, "sequence 9 of its stream, which waits for 7"}, {send.DeadLetter, "bad-payload: price is missing"},
		{send.Duplicate, "stands in this input"}, {send.Undecided, "dead-letter topic"},
	} {
		if got := outcomes[i]; got.Verdict != want.verdict || !strings.Contains(got.Detail, want.detail) {
			t.Errorf("%s: %+v, want %+v", ids[i], got, want)
		}
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	brokers, url := stacktest.Kafka(t), stacktest.Postgres(t)
	waiter, err := send.NewWaiter(t.Context(), url, brokers, kafka.Security{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = waiter.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	outcomes, err := waiter.Wait(ctx, produce(t, brokers, []string{"1"}))
	if err != nil || outcomes[0].Verdict != send.Undecided {
		t.Errorf("%+v, error %v", outcomes, err)
	}
}

func produce(t *testing.T, brokers, ids []string) []send.Stored {
	t.Helper()
	producer, err := send.NewProducer(brokers, kafka.Security{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = producer.Close() }()
	var events []send.Event
	for _, id := range ids {
		d := defaults
		d.Source, d.ID = "desk", id
		e, err := d.FromFlags()
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	stored, err := producer.Send(events)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range stored {
		if s.ID != ids[i] || s.Offset != int64(i) || s.Partition != stored[0].Partition {
			t.Errorf("event %d is stored as %+v", i, s)
		}
	}
	return stored
}

// mark consumes the events as the trigger would, and commits their offsets.
func mark(t *testing.T, brokers []string, stored []send.Stored) {
	t.Helper()
	config := sarama.NewConfig()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	group, err := sarama.NewConsumerGroup(brokers, platform.ConsumerGroup("trade"), config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = group.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := group.Consume(ctx, []string{"trade-events"}, marker{len(stored), cancel}); err != nil {
		t.Fatal(err)
	}
}

// marker marks that many records, all of one partition, and then ends.
type marker struct {
	records int
	end     func()
}

func (marker) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (marker) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m marker) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	n := 0
	for record := range claim.Messages() {
		session.MarkMessage(record, "")
		if n++; n == m.records {
			session.Commit()
			m.end()
		}
	}
	return nil
}

func seen(t *testing.T, conn *pgx.Conn, id, outcome, decidedIn string) {
	t.Helper()
	reason := ""
	if outcome == "refused" {
		reason = "no"
	}
	execute(t, conn, `INSERT INTO millrace.seen (tenant_id, source, id, digest, outcome, reason, function, subject, version, decided_at)
		VALUES ('acme', 'desk', $1, decode(repeat('00', 32), 'hex'), $2, $3, 'trade', 'account-1', 1, now() + $4::text::interval)`, id, outcome, reason, decidedIn)
}

func execute(t *testing.T, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}
