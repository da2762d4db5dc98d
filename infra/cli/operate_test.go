package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/caarlos0/env/v11"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/infra/cli"
	"github.com/millrace/millrace/infra/invariants"
	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/shared/function"
	sharedkafka "github.com/millrace/millrace/shared/kafka"
	"github.com/millrace/millrace/shared/runtime"
	"github.com/millrace/millrace/shared/views"
	"github.com/millrace/millrace/triggers/kafka"
	"github.com/millrace/millrace/triggers/relay"
)

// site is a platform that runs in this process, found by --dir as one that
// `millrace up` runs is: trade, and what it emits to.
type site struct {
	dir  string
	at   platform.Addresses
	deps invariants.Deps
}

func newSite(t *testing.T, settings map[string]string) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), at: platform.Addresses{
		PID: os.Getpid(), KafkaBrokers: stacktest.Kafka(t), DatabaseURL: stacktest.Postgres(t), RedisURL: stacktest.Redis(t),
	}}
	text, err := json.Marshal(s.at)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "platform.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	s.deps = invariants.Deps{Brokers: s.at.KafkaBrokers, ConsumerGroups: map[string]string{}}
	for _, fn := range functions.All() {
		switch fn.FunctionName() {
		case "trade", "position", "ledger":
			s.deps.Functions = append(s.deps.Functions, fn)
		}
	}
	if s.deps.Pool, err = pgxpool.New(t.Context(), s.at.DatabaseURL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.deps.Pool.Close)
	if s.deps.Redis, err = views.Open(t.Context(), s.at.RedisURL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.deps.Redis.Close() })

	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	t.Cleanup(func() { stop(); running.Wait() })
	for _, fn := range s.deps.Functions {
		s.start(ctx, t, &running, fn, settings)
	}
	config := parse[relay.Config](t, s.environment(t, map[string]string{"RELAY_INTERVAL": "100ms", "RELAY_OLDER_THAN": "1s"}))
	running.Go(func() {
		if err := relay.Run(ctx, s.deps.Functions, config, slog.New(slog.DiscardHandler)); err != nil {
			t.Errorf("relay: %v", err)
		}
	})
	return s
}

func (s *site) environment(t *testing.T, more map[string]string) map[string]string {
	t.Helper()
	port, err := stack.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{
		"LISTEN_ADDRESS": net.JoinHostPort("127.0.0.1", fmt.Sprint(port)), "DATABASE_URL": s.at.DatabaseURL, "REDIS_URL": s.at.RedisURL,
		"KAFKA_BROKERS": strings.Join(s.at.KafkaBrokers, ","),
	}
	maps.Copy(all, more)
	return all
}

func parse[T any](t *testing.T, environment map[string]string) T {
	t.Helper()
	config, err := env.ParseAsWithOptions[T](env.Options{Environment: environment})
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// start starts a function and its trigger.
func (s *site) start(ctx context.Context, t *testing.T, running *sync.WaitGroup, fn function.Definition, settings map[string]string) {
	t.Helper()
	topic := topics.Events(fn.FunctionName())
	s.deps.ConsumerGroups[topic] = "millrace-" + topic
	environment := s.environment(t, settings)
	environment["K_SINK"] = "http://" + environment["LISTEN_ADDRESS"]
	environment["KAFKA_TOPICS"], environment["KAFKA_CONSUMER_GROUP"] = topic, s.deps.ConsumerGroups[topic]
	log := slog.New(slog.DiscardHandler)
	trigger, err := kafka.New(parse[kafka.Config](t, environment), log)
	if err != nil {
		t.Fatal(err)
	}
	config := parse[runtime.Config](t, environment)
	running.Go(func() {
		if err := runtime.Run(ctx, fn, config, log); err != nil {
			t.Errorf("%s: %v", fn.FunctionName(), err)
		}
	})
	running.Go(func() {
		if err := trigger.Run(ctx); err != nil {
			t.Errorf("trigger of %s: %v", fn.FunctionName(), err)
		}
	})
}

// send puts events of trade into Kafka: "type id name=value... data". They are
// one key, so they come in order.
func (s *site) send(t *testing.T, events ...string) {
	t.Helper()
	producer, err := sarama.NewSyncProducer(s.at.KafkaBrokers, sharedkafka.CommandConfig("test", sharedkafka.Security{}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = producer.Close() }()
	for _, text := range events {
		words := strings.SplitN(text, " ", 3)
		attributes := map[string]string{"tenantid": "acme", "source": "/desk", "subject": "account-1", "time": "2026-03-14T09:26:53Z"}
		rest := words[2]
		for rest[0] != '{' {
			word, after, _ := strings.Cut(rest, " ")
			name, value, _ := strings.Cut(word, "=")
			attributes[name], rest = value, after
		}
		value := fmt.Sprintf(`{"specversion":"1.0","type":%q,"id":%q`, words[0], words[1])
		for name, v := range attributes {
			value += fmt.Sprintf(`,%q:%q`, name, v)
		}
		_, _, err := producer.SendMessage(&sarama.ProducerMessage{
			Topic: topics.Events("trade"), Key: sarama.StringEncoder("key"), Value: sarama.StringEncoder(value + `,"data":` + rest + "}"),
			Headers: []sarama.RecordHeader{{Key: []byte("content-type"), Value: []byte("application/cloudevents+json")}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// settle waits until nothing is on its way.
func (s *site) settle(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := invariants.Settle(ctx, s.deps); err != nil {
		t.Fatal(err)
	}
}

// holds says whether the invariants hold.
func (s *site) holds(t *testing.T) {
	t.Helper()
	s.settle(t)
	report, err := invariants.Check(t.Context(), s.deps)
	if err != nil || !report.Holds() {
		t.Errorf("%s, error %v", report.String(), err)
	}
}

// run runs a command and expects its status and texts in what it says; "!" before
// a text: not there.
func (s *site) run(t *testing.T, status int, command string, want ...string) string {
	t.Helper()
	return s.answer(t, "", status, command, want...)
}

func (s *site) answer(t *testing.T, in string, status int, command string, want ...string) string {
	t.Helper()
	var args []string
	for word := range strings.FieldsSeq(command) {
		args = append(args, strings.ReplaceAll(word, "_", " "))
	}
	var out bytes.Buffer
	got := cli.Run(t.Context(), append(args, "--dir", s.dir), cli.Streams{In: strings.NewReader(in), Out: &out, Err: &out})
	if got != status {
		t.Errorf("%s: status %d, want %d:\n%s", command, got, status, out.String())
	}
	for _, text := range want {
		absent, not := strings.CutPrefix(text, "!")
		if not == strings.Contains(out.String(), absent) {
			t.Errorf("%s: %q:\n%s", command, text, out.String())
		}
	}
	t.Logf("$ millrace %s\n%s", command, out.String())
	return out.String()
}

// letter is the id of an event's dead letter.
func (s *site) letter(t *testing.T, event string) (id string) {
	t.Helper()
	if err := s.deps.Pool.QueryRow(t.Context(), `SELECT id::text FROM millrace.dead_letters WHERE event_id = $1`, event).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

const executed = `{"instrument":"ACME","side":"buy","quantity":"100","price":"12.50","currency":"EUR"}`

//nolint:tparallel // one part goes on where the one before it ends
func TestOperate(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"PARKED_LIMIT": "2"})
	s.run(t, 0, "dlq list", "no dead letters")
	s.run(t, 0, "streams list --stuck", "no streams")
	s.send(t,
		`trade.cancelled.v1 C1 {"trade":"T9"}`,                                      // refused: it overtook its trade
		`trade.executed.v1 T2 sequence=2 `+executed,                                 // parked
		`trade.executed.v1 T5 sequence=5 `+executed,                                 // parked
		`trade.executed.v1 T6 sequence=6 `+executed,                                 // a dead letter: too many are parked
		`trade.executed.v1 P1 source=/other {"instrument":1}`,                       // bad payload
		`trade.executed.v1 P2 source=/other time=yesterday {}`,                      // no event that can be read
		`trade.executed.v1 T9 `+executed,                                            // the one that was to be cancelled
		`trade.executed.v2 V2 source=/legacy sequence=7 `+executed,                  // unknown type
		`trade.executed.v1 L8 source=/legacy sequence=1041 tenantid=zeta `+executed) // does not start at 1
	s.settle(t)

	t.Run("dead letters", s.deadLetters)
	t.Run("streams", s.streams)
	t.Run("redrive", s.redrive)
	s.holds(t)
}

func (s *site) deadLetters(t *testing.T) {
	s.run(t, 0, "dlq list", "C1", "T6", "P1", "V2", "parked-limit", "trade-unknown", "account-1", "!There are more")
	s.run(t, 0, "dlq list --kind refused", "C1", "!T6")
	s.run(t, 0, "dlq list --reason bad-payload,unknown-type --function trade --tenant acme --subject account-1 --since 1h", "P1", "V2", "!T6")
	s.run(t, 0, "dlq list --until 1h", "no dead letters")
	s.run(t, 0, "dlq list --event-id T6 --source /desk", "T6", "!C1")
	s.run(t, 0, "dlq list "+s.letter(t, "T6"), "T6", "!C1")
	s.run(t, 2, "dlq list --kind broken", "want undecided, refused")
	s.run(t, 2, "dlq list --since yesterday", "neither how long ago")
	s.run(t, 2, "dlq list nonsense", "no id of a dead letter")
	s.run(t, 2, "dlq list --since -2h", "neither how long ago")
	s.run(t, 0, "dlq list --since 2d", "T6", "C1")
	for _, command := range []string{"dlq list", "dlq redrive --yes", "dlq drop --yes --why x"} {
		s.run(t, 2, command+" --function nope", `there is no function "nope"; there are agent, `)
	}
	const none = "00000000-0000-0000-0000-000000000001"
	s.run(t, 0, "dlq list --reason rule-faild", "no dead letters", "did you mean rule-failed?", "malformed, ")
	s.run(t, 0, "dlq list --reason rule-failed", "no dead letters", "!reason")
	s.run(t, 1, "dlq list "+none+" "+s.letter(t, "T6"), "T6", none+" is not listed: there is no such dead letter")
	s.run(t, 1, "dlq redrive --reason nope --yes", "no dead letters", `reason "nope" is none of undecided events.`)
	s.run(t, 1, "dlq redrive --all --tenant nope", "no dead letters")
	s.run(t, 1, "dlq redrive --dry-run "+none+" "+s.letter(t, "T6"), "T6  would be sent", none+"  not sent: there is no such", "1 dead letter would be sent, 1 cannot be")
	s.run(t, 0, "dlq redrive --all --reason parked-limit --dry-run", "1 dead letter would be sent, 0")
	s.run(t, 2, "dlq redrive --all "+none, "ids or --all")
	s.run(t, 1, "dlq drop --tenant nope --why x", "0 dead letters dropped")
	s.run(t, 1, "dlq drop --why x "+none, none+"  not dropped: there is no such dead letter")

	var seen []string
	for more, after := true, ""; more; more = after != "" {
		var page struct {
			DeadLetters []struct {
				ID string `json:"id"`
			} `json:"deadLetters"`
			Next string `json:"next"`
		}
		if err := json.Unmarshal([]byte(s.run(t, 0, "dlq list --limit 2 --json --after="+after)), &page); err != nil {
			t.Fatal(err)
		}
		for _, l := range page.DeadLetters {
			seen = append(seen, l.ID)
		}
		after = page.Next
	}
	if len(seen) != 5 || len(unique(seen)) != 5 {
		t.Errorf("page by page: %v", seen)
	}

	s.run(t, 0, "dlq show "+s.letter(t, "V2"), "unknown-type", "trade.executed.v2", `"sequence": "7"`, `"instrument": "ACME"`)
	var whole struct {
		Event struct {
			ID string `json:"id"`
		} `json:"event"`
	}
	if err := json.Unmarshal([]byte(s.run(t, 0, "dlq show --json "+s.letter(t, "V2"))), &whole); err != nil || whole.Event.ID != "V2" {
		t.Errorf("%+v, error %v", whole, err)
	}
	s.run(t, 1, "dlq show 00000000-0000-0000-0000-000000000001", "there is no such dead letter")

	s.run(t, 2, "dlq redrive", "say which dead letters")
	s.run(t, 2, "dlq drop --all", "--why is required")
	s.run(t, 1, "dlq redrive --all --dry-run", "4 dead letters would be sent, 1 cannot be", "its bytes are no event that a function can read")
	s.answer(t, "n\n", 1, "dlq redrive --all", "Redrive 5 dead letters?", "nothing was done")
	s.answer(t, "", 1, "dlq drop --all --why none", "Drop 5 dead letters?", "nothing was done")
	if n := s.count(t, `SELECT count(*) FROM millrace.operations`); n != 0 {
		t.Errorf("%d operations", n)
	}
}

func (s *site) streams(t *testing.T) {
	const desk = " --tenant acme --function trade --subject account-1 --source /desk"
	const legacy = " --tenant zeta --function trade --subject account-1 --source /legacy"
	s.run(t, 0, "streams list --stuck", "/desk", "/legacy", "1-1040")
	s.run(t, 0, "streams list --stuck --for 1h", "no streams")
	s.run(t, 0, "streams list --stuck --for 1d", "no streams")
	s.run(t, 2, "streams list --stuck --for 1x", "is no length of time")
	s.run(t, 2, "streams list --function nope", `there is no function "nope"`)
	s.run(t, 2, "streams show --tenant acme --function nope --subject a --source /desk", `there is no function "nope"`)
	s.run(t, 1, "streams show --tenant acme --function trade --subject nobody --source /desk", "the stream of /desk about acme/trade/nobody: there is no such stream")
	s.run(t, 0, "streams list --tenant zeta --json", `"from": 1`, `"to": 1040`, "!acme")
	s.run(t, 0, "streams show"+desk, "missing  1\n", "missing  3-4\n", "parked  2  T2", "parked  5  T5", "6 is "+s.letter(t, "T6"))
	s.run(t, 2, "streams skip --tenant acme", "they name the stream")
	s.run(t, 2, "streams skip"+desk+" --sequence 1", "--why are required")
	s.run(t, 2, "streams skip"+desk+" --why x --sequence 3-1", "such as 5-7")
	for sequence, why := range map[string]string{"3-4": "waits for 1, not for 3-4", "1-2": "2 of", "2": "waits for 1, not for 2"} {
		s.run(t, 1, "streams skip"+desk+" --why x --sequence "+sequence, why)
	}
	s.run(t, 1, "streams adopt"+desk+" --why x --sequence 3", "only 1 is missing")
	s.run(t, 1, "streams skip --tenant acme --function trade --subject nobody --source /desk --why x --sequence 1", "waits for nothing")
	s.run(t, 1, "streams skip --tenant acme --function position --subject account-1 --source /millrace/trade/account-1 --why x --sequence 9", "is emitted by a function")

	s.run(t, 0, "streams skip"+desk+" --sequence 1 --why lost_in_the_restart", "goes on at 2")
	s.settle(t)
	s.run(t, 1, "streams skip"+desk+" --sequence 1 --why again", "is decided up to 2 already")
	s.run(t, 1, "streams adopt"+desk+" --sequence 4 --why again", "has begun")
	s.run(t, 0, "streams skip"+desk+" --sequence 3 --why part_of_it", "waits for 4 now")
	s.run(t, 0, "streams skip"+desk+" --sequence 4 --why the_rest --json", `"position": 4`)
	s.run(t, 0, "streams adopt"+legacy+" --sequence 1041 --why moved_here", "goes on at 1041")
	s.settle(t)
	s.run(t, 0, "streams list --stuck", "no streams")
	s.run(t, 0, "streams show"+desk, "decided up to 5; 0 parked", "skip 1 by", "lost in the restart", "skip 4 by")
	s.run(t, 0, "streams show"+legacy, "decided up to 1041", "adopt 1-1040 by")
}

func (s *site) redrive(t *testing.T) {
	s.run(t, 0, "dlq redrive --wait --why it_came --kind refused --tenant acme", "C1  applied, version", "1 dead letter sent, 1 applied")
	s.run(t, 1, "dlq redrive --all --yes --wait", "T6  applied, version", "P1  failed: bad-payload", "V2  failed: unknown-type", "not sent: its bytes are no event",
		"3 dead letters sent, 1 applied, 2 failed; 1 not sent")
	s.run(t, 0, "dlq show "+s.letter(t, "P1"), "state     open", "redrive by")
	s.run(t, 1, "dlq redrive --wait "+s.letter(t, "C1"), "not sent: it was redriven at 20", "0 dead letters sent; 1 not sent") // it is done
	s.run(t, 0, "dlq drop --reason bad-payload --why nonsense", "1 dead letter dropped")
	s.run(t, 0, "dlq drop --all --yes --why nonsense", "2 dead letters dropped")
	s.run(t, 1, "dlq redrive "+s.letter(t, "V2"), "not sent: it was dropped at 20")
	s.run(t, 0, "dlq redrive --all", "no dead letters")
	s.run(t, 0, "dlq drop --all --why none", "0 dead letters dropped")
	s.run(t, 0, "dlq list", "no dead letters")
	s.run(t, 0, "dlq list --state dropped,redriven", "C1", "V2")
	if n := s.count(t, `SELECT count(*) FROM millrace.operations WHERE who <> '' AND done_at > now() - interval '1 hour'`); n != 4+4+3 {
		t.Errorf("%d operations", n)
	}
	if n := s.count(t, `SELECT count(*) FROM millrace.audit WHERE id = 'C1'`); n != 2 {
		t.Errorf("%d decisions about C1", n)
	}
}

func (s *site) count(t *testing.T, sql string) (n int) {
	t.Helper()
	if err := s.deps.Pool.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func unique(all []string) map[string]bool {
	set := map[string]bool{}
	for _, one := range all {
		set[one] = true
	}
	return set
}
