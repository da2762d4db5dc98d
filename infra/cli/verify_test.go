package cli_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/caarlos0/env/v11"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/infra/cli"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/outbox"
	"github.com/millrace/millrace/shared/runtime"
	"github.com/millrace/millrace/shared/views"
)

// stores are those of a platform, which the environment names.
type stores struct {
	pool  *pgxpool.Pool
	redis redis.UniversalClient
	relay *outbox.Relay
}

// decided decides events and shows what follows in Redis.
func decided(t *testing.T, events ...string) *stores {
	t.Helper()
	url, redisURL := stacktest.Postgres(t), stacktest.Redis(t)
	t.Setenv("DATABASE_URL", url)
	t.Setenv("REDIS_URL", redisURL)
	t.Setenv("KAFKA_BROKERS", "")
	s := &stores{}
	var err error
	if s.pool, err = pgxpool.New(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.pool.Close)
	if s.redis, err = views.Open(t.Context(), redisURL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.redis.Close() })
	s.relay = outbox.NewRelay(outbox.RelayConfig{Pool: s.pool, Redis: s.redis, Functions: functions.All(), Log: slog.New(slog.DiscardHandler)})
	s.decide(t, events...)
	return s
}

// decide decides events and shows what follows.
func (s *stores) decide(t *testing.T, events ...string) {
	t.Helper()
	limits, err := env.ParseAs[runtime.Limits]()
	if err != nil {
		t.Fatal(err)
	}
	var claims []outbox.Claim
	for _, fn := range functions.All() {
		var mine []event.Received
		for _, text := range events {
			if r := event.ParseStructured([]byte(text)); r.Event.Function() == fn.FunctionName() {
				mine = append(mine, r)
			}
		}
		p := runtime.NewProcessor(fn, s.pool, limits, slog.New(slog.DiscardHandler), func(c outbox.Claim) { claims = append(claims, c) })
		if _, err := p.Process(t.Context(), mine); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.relay.Publish(t.Context(), claims); err != nil {
		t.Fatal(err)
	}
}

const (
	signedIn = `{"specversion":"1.0","id":"A1","source":"/desk","type":"agent.signed-in.v1","subject":"agent-1","tenantid":"acme","time":"2026-11-24T09:00:00Z","data":{"skills":["fr"]}}`
	queued   = `{"specversion":"1.0","id":"Q1","source":"/desk","type":"conversation.queued.v1","subject":"conv-1","tenantid":"acme","time":"2026-11-24T09:00:01Z","data":{"queue":"billing"}}`
)

func TestVerify(t *testing.T) {
	s := decided(t, signedIn, queued)
	status, out := run(t, "verify")
	if want := "The tables and Redis are what the audit log gives: 2 entities with 2 decisions, 5 views.\n"; status != 0 || out != want {
		t.Errorf("status %d: %s", status, out)
	}
	if _, err := s.pool.Exec(t.Context(), `UPDATE millrace.agents SET skills = '{de}'`); err != nil {
		t.Fatal(err)
	}
	status, out = run(t, "verify", "--since", "1h")
	if row := `millrace.agents acme/agent-1 skills 1: is "de", should be "fr"`; status != 1 || !strings.Contains(out, row) {
		t.Errorf("status %d: %s", status, out)
	}
	if status, out = run(t, "verify", "--function", "conversation"); status != 0 {
		t.Errorf("another function: status %d: %s", status, out)
	}
	for _, args := range [][]string{{"verify", "--tenant", "nope"}, {"verify", "--function", "message"}, {"views", "rebuild", "--tenant", "nope"}} {
		if status, out = run(t, args...); status != 1 || !strings.Contains(out, "nothing was looked at: there is no entity of ") {
			t.Errorf("%v: status %d: %s", args, status, out)
		}
	}
	var result struct {
		Same        bool  `json:"same"`
		Differences int   `json:"differences"`
		Broken      []any `json:"broken"`
	}
	var text strings.Builder
	if status := cli.Run(t.Context(), []string{"verify", "--json"}, cli.Streams{Out: &text, Err: io.Discard}); status != 1 {
		t.Errorf("as JSON: status %d", status)
	}
	if err := json.Unmarshal([]byte(text.String()), &result); err != nil || result.Same || result.Differences != 2 || len(result.Broken) != 2 {
		t.Errorf("%+v, error %v, of %s", result, err, text.String())
	}
}

func TestVerifyUsage(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		`there is no function "weather"; there are agent`: {"--function", "weather"},
		"neither how long ago":                            {"--since", "yesterday"},
		"35 days":                                         {"--since", "40d"},
		"is no length of time":                            {"--patience", "-2s"},
		"--rows must be 1 or more":                        {"--rows", "0"},
	} {
		if status, out := run(t, append([]string{"verify"}, args...)...); status != 2 || !strings.Contains(out, want) {
			t.Errorf("%v: status %d: %s", args, status, out)
		}
	}
}
