package invariants

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// breakage damages a world that is whole, and says what Check has to find.
type breakage struct {
	// world is one of several copies: breakages of one copy do not hide each other.
	world           string
	invariant, what string
	row             string // a part of the row that is shown
	sql             string
	redis           func(context.Context, redis.UniversalClient) error
	kafka           func(context.Context, *kadm.Client, kadm.Offsets) error
	sent            Sent
}

const (
	acct1       = `tenant_id = 'acme' AND subject = 'acct-1'`
	toPosition  = `tenant_id = 'acme' AND source = '/millrace/trade/acct-1' AND id = 'position/acct-1/`
	emittedJSON = `json_build_object('specversion', '1.0', 'id', id, 'source', source, 'type', type, 'subject', subject,
                     'tenantid', tenant_id, 'time', time, 'sequence', sequence, 'data', data)`
)

var breakages = []breakage{
	{world: "kafka", invariant: "I1", what: "acknowledged sends that Kafka does not have", row: "trade-events/5/7",
		sent: Sent{Topic: "trade-events", Partition: 5, Offset: 7}},
	{world: "kafka", invariant: "I1", what: "acknowledged events without an effect", row: "id T99",
		sent: Sent{TenantID: "acme", Source: "/desk", ID: "T99"}},
	{world: "kafka", invariant: "I1", what: "records that nobody has taken", row: "trade-events/0: 1 of those from 10 to 11",
		kafka: func(_ context.Context, _ *kadm.Client, o kadm.Offsets) error { return shift(o, "trade-events", 0, -1) }},
	{world: "kafka", invariant: "I1", what: "records that Kafka dropped before they were taken", row: "trade-events/9: 0 to 1",
		kafka: func(ctx context.Context, admin *kadm.Client, o kadm.Offsets) error {
			drop := kadm.Offsets{}
			drop.AddOffset("trade-events", 9, 1, -1)
			_, err := admin.DeleteRecords(ctx, drop)
			return errors.Join(err, shift(o, "trade-events", 9, -1))
		}},
	{world: "kafka", invariant: "I6", what: "committed offsets past the end", row: "ledger-events/6: 3 of 0",
		kafka: func(_ context.Context, _ *kadm.Client, o kadm.Offsets) error { return shift(o, "ledger-events", 6, 3) }},

	{world: "rows", invariant: "I2", what: "identities decided more than once", row: "source=/desk id=T1 decisions=2",
		sql: `UPDATE millrace.audit SET id = 'T1' WHERE ` + acct1 + ` AND id = 'T2' AND function = 'trade'`},
	{world: "rows", invariant: "I2", what: "identities remembered without the decision", row: "id=T5",
		sql: `UPDATE millrace.seen SET outcome = 'applied', reason = '' WHERE id = 'T5'`},
	{world: "rows", invariant: "I2", what: "decisions whose identity is not remembered", row: "id=U2",
		sql: `DELETE FROM millrace.seen WHERE id = 'U2'`},
	{world: "rows", invariant: "I2", what: "facts in millrace.trades that are not one for each applied event", row: "id=T1 facts=<nil>",
		sql: `DELETE FROM millrace.trades WHERE id = 'T1'`},
	{world: "rows", invariant: "I2", what: "facts in millrace.fills that are not one for each applied event", row: "id=F1 facts=2",
		sql: `
INSERT INTO millrace.fills
SELECT month, tenant_id, account, instrument, n + 1, source, id, side, quantity, price, currency, state, filled_at,
       quantity_after, cost_after, realised_after
FROM millrace.fills WHERE id = 'F1'`},
	{world: "rows", invariant: "I2", what: "facts in millrace.entries that are not one for each applied event", row: "id=L3",
		sql: `UPDATE millrace.entries SET id = 'L3' WHERE id = 'L2'`},
	{world: "rows", invariant: "I2", what: "facts in millrace.messages that are not one for each applied event", row: "id=M1 facts=<nil>",
		sql: `DELETE FROM millrace.messages WHERE id = 'M1'`},
	{world: "rows", invariant: "I8", what: "entities that remember other redactions than the fold gives", row: "message acme/conv-1: 0, folded 1",
		sql: `DELETE FROM millrace.redactions`},
	{world: "rows", invariant: "I4", what: "entries that do not sum to zero", row: "currency=EUR total=1",
		sql: `UPDATE millrace.postings SET amount = amount + 1 WHERE journal = 'acct-2' AND line = 1`},
	{world: "rows", invariant: "I4", what: "entries without their postings, or postings without their entry", row: "journal=acct-3 version=1 lines=4 postings=2",
		sql: `DELETE FROM millrace.postings WHERE journal = 'acct-3' AND line > 2`},
	{world: "rows", invariant: "I4", what: "balances that are not the sum of their postings", row: "account=acct-1",
		sql: `UPDATE millrace.aggregates SET value = value + 1 WHERE key = 'acct-1'`},
	{world: "rows", invariant: "I4", what: "agents' counts that are not those of their conversations", row: "agent=agent-1 open=1 conversations=1 closed=2 closed_conversations=1",
		sql: `UPDATE millrace.aggregates SET value = value + 1 WHERE key = 'agent-1' AND field = 'closed'`},

	{world: "sums", invariant: "I7", what: "sums that are not what the fold gives", row: "millrace.aggregates ledger balance acme/acct-1 EUR: is ",
		sql: `UPDATE millrace.aggregates SET value = value + 1 WHERE key = 'acct-1'`},
	{world: "sums", invariant: "I7", what: "sums that are not what the fold gives", row: "millrace.aggregates conversation agent acme/agent-1 closed: is 0, should be 1",
		sql: `DELETE FROM millrace.aggregates WHERE key = 'agent-1' AND field = 'closed'`},
	{world: "sums", invariant: "I7", what: "sums that are not what the fold gives", row: "millrace.aggregates trade turnover zeta/x EUR: is 5, should be 0",
		sql: `INSERT INTO millrace.aggregates VALUES ('zeta', 'trade', 'turnover', 'x', 'EUR', 0, 5, 1)`},

	{world: "order", invariant: "I3", what: "entities whose versions are not contiguous", row: "version=4 before=2",
		sql: `DELETE FROM millrace.audit WHERE ` + acct1 + ` AND function = 'trade' AND version = 3`},
	{world: "order", invariant: "I3", what: "entities that are not at the version of their last decision", row: "version=6 decided=5",
		sql: `UPDATE millrace.entities SET version = version + 1 WHERE ` + acct1 + ` AND function = 'trade'`},
	{world: "order", invariant: "I3", what: "streams decided out of sequence", row: "sequence=9",
		sql: `UPDATE millrace.audit SET sequence = 9 WHERE id = 'T5'`},
	{world: "order", invariant: "I3", what: "streams that are not at the position of their last decision", row: "position=3 decided=4",
		sql: `UPDATE millrace.streams SET position = 3 WHERE ` + acct1 + ` AND function = 'position' AND source = '/millrace/trade/acct-1'`},
	{world: "order", invariant: "I3", what: "streams that miscount what is parked", row: "parked=2 rows=1",
		sql: `UPDATE millrace.streams SET parked = 2 WHERE parked = 1`},
	{world: "order", invariant: "I3", what: "parked events that wait for nothing", row: "sequence=6 id=T7",
		sql: `UPDATE millrace.parked SET sequence = 6 WHERE id = 'T7'`},
	{world: "order", invariant: "I7", what: "emitted streams that are not decided to their end", row: "decided to 3, emitted to 4",
		sql: `-- as above`},
	{world: "order", invariant: "I7", what: "emitted streams that no entity has emitted", row: "9 streams are known, 8 were emitted",
		sql: `INSERT INTO millrace.streams VALUES ('acme', 'position', 'acct-9', '/millrace/trade/acct-9', 1, 0)`},

	{world: "shown", invariant: "I5", what: "rows that the relay has left in the outbox", row: "2 rows",
		sql: `INSERT INTO millrace.outbox (function, created_at) VALUES ('trade', now())`},
	{world: "shown", invariant: "I5", what: "what the relay has still to show", row: "millrace:{acme:trades:acct-3}",
		sql: `UPDATE millrace.trades SET price = 1 WHERE account = 'acct-3';
INSERT INTO millrace.outbox (function, created_at, dirty)
VALUES ('trade', now(), '{"entities":[{"tenant":"acme","subject":"acct-3","version":1}]}')`},
	{world: "shown", invariant: "I5", what: "what Redis shows otherwise than PostgreSQL has it", row: "millrace:{acme:position:acct-2:AAPL}",
		redis: func(ctx context.Context, r redis.UniversalClient) error {
			return r.HSet(ctx, "millrace:{acme:position:acct-2:AAPL}", "quantity", "11").Err()
		}},
	{world: "shown", invariant: "I5", what: "what Redis shows otherwise than PostgreSQL has it", row: "millrace:{zeta:balances:house}",
		redis: func(ctx context.Context, r redis.UniversalClient) error {
			return r.Del(ctx, "millrace:{zeta:balances:house}").Err()
		}},
	{world: "shown", invariant: "I5", what: "what Redis shows otherwise than PostgreSQL has it", row: `millrace:{acme:presence} "agent-7": is version 2 on false, should be version 2 on true`,
		sql: `UPDATE millrace.agents SET status = 'break' WHERE agent = 'agent-7'`},
	{world: "shown", invariant: "I5", what: "what Redis shows and PostgreSQL does not know", row: "millrace:{acme:presence}: is 2 bits on, should be 1 bits on",
		redis: func(ctx context.Context, r redis.UniversalClient) error {
			return r.SetBit(ctx, "millrace:{acme:presence}", 7, 1).Err()
		}},
	{world: "shown", invariant: "I5", what: "what Redis shows and PostgreSQL does not know", row: `millrace:{acme:exposure:EUR} "nobody"`,
		redis: func(ctx context.Context, r redis.UniversalClient) error {
			return r.ZAdd(ctx, "millrace:{acme:exposure:EUR}", redis.Z{Score: 1, Member: "nobody"}).Err()
		}},

	{world: "lost", invariant: "I6", what: "records below the committed offset without an effect", row: "trade-events/0/7 tenant acme, source /other, id U2",
		sql: `DELETE FROM millrace.seen WHERE id = 'U2'`},
	{world: "lost", invariant: "I6", what: "records below the committed offset without an effect", row: "trade-events/0/5 tenant acme, source /desk, id T7",
		sql: `DELETE FROM millrace.parked WHERE id = 'T7'`},
	{world: "lost", invariant: "I6", what: "records below the committed offset without an effect", row: "trade-events/3/1 tenant acme, source /desk, id T1",
		sql: `DELETE FROM millrace.dead_letters WHERE event_id = 'T1'`},
	{world: "lost", invariant: "I6", what: "records below the committed offset without an effect", row: `trade-events/0/9 "{`,
		sql: `DELETE FROM millrace.dead_letters WHERE reason = 'bad-attribute'`},

	{world: "fold", invariant: "I7", what: "decisions whose event is not the one that was decided", row: "id T4",
		sql: `UPDATE millrace.audit SET data = '{"trade":"T2","reason":"none"}' WHERE id = 'T4'`},
	{world: "fold", invariant: "I8", what: "events that still say what was redacted", row: "audit: tenant acme, source /chat, id M1",
		sql: `UPDATE millrace.audit SET data = '{"author":"ann","text":"secret"}' WHERE id = 'M1' AND function = 'message'`},
	{world: "fold", invariant: "I8", what: "events that still say what was redacted", row: "parked: tenant acme, source /chat, id M2",
		sql: `UPDATE millrace.parked SET event = replace(event::text, '[redacted]', 'secret')::json WHERE id = 'M2'`},
	{world: "fold", invariant: "I8", what: "events that still say what was redacted", row: "dead letters: tenant acme, source /chat, id M1",
		sql: `UPDATE millrace.dead_letters SET event = replace(encode(event, 'escape'), '[redacted]', 'secret')::bytea WHERE event_id = 'M1'`},
	{world: "fold", invariant: "I7", what: "decisions that cannot be made again", row: "unknown-type",
		sql: `UPDATE millrace.audit SET type = 'ledger.exploded.v1' WHERE id = 'L2'`},
	{world: "fold", invariant: "I7", what: "decisions that come out differently", row: "id T5, trade.cancelled.v1 about acct-1, sequence 5: is applied, should be refused trade-cancelled",
		sql: `UPDATE millrace.audit SET outcome = 'applied', reason = '' WHERE id = 'T5'`},
	{world: "fold", invariant: "I7", what: "entities whose version is not that of the fold", row: "conversation acme/conv-2 version: is 2, should be 3",
		sql: `UPDATE millrace.entities SET version = 2 WHERE subject = 'conv-2'`},
	{world: "audit", invariant: "I7", what: "audit rows that are missing", row: "millrace.audit trade acme/acct-1 version 2 to 3: is no row",
		sql: `DELETE FROM millrace.audit WHERE function = 'trade' AND ` + acct1 + ` AND version IN (2, 3)`},
	{world: "audit", invariant: "I7", what: "audit rows that are missing", row: "millrace.audit ledger acme/acct-2 version 1: is no row",
		sql: `DELETE FROM millrace.audit WHERE function = 'ledger' AND subject = 'acct-2' AND version = 1`},
	{world: "audit", invariant: "I7", what: "audit rows that there is more than one of", row: "millrace.audit agent acme/agent-7 version 1: is several rows",
		sql: `INSERT INTO millrace.audit SELECT '2026-04-01', tenant_id, function, subject, version, outcome, reason, source, id, type, time,
              sequence, digest, data, attributes, decided_at FROM millrace.audit WHERE subject = 'agent-7' AND version = 1`},
	{world: "fold", invariant: "I7", what: "entities whose counters are not those of the fold", row: "millrace.entities trade acme/acct-2 counters: is map[position/acct-2:2], should be map[ledger/acct-2:1 position/acct-2:1]",
		sql: `UPDATE millrace.entities SET counters = '{"position/acct-2":2}' WHERE subject = 'acct-2' AND function = 'trade'`},
	{world: "fold", invariant: "I7", what: "entities whose tables are not what the fold gives", row: `millrace.positions acme/acct-1 AAPL realised: is "1", should be "0"`,
		sql: `UPDATE millrace.positions SET realised = 1 WHERE account = 'acct-1' AND instrument = 'AAPL'`},
	{world: "fold", invariant: "I7", what: "entities whose tables are not what the fold gives", row: `millrace.trades zeta/acct-1 /other U1 price: is "99", should be "12.5"`,
		sql: `UPDATE millrace.trades SET price = 99 WHERE tenant_id = 'zeta'`},
	{world: "fold", invariant: "I7", what: "entities whose tables are not what the fold gives", row: `millrace.agents acme/agent-7 skills: is nothing, should be ["fr"]`,
		sql: `UPDATE millrace.agents SET skills = '{}' WHERE agent = 'agent-7'`},
	{world: "fold", invariant: "I7", what: "agents whose status is not what was said last", row: "agent=agent-9 status=busy said=available",
		sql: `UPDATE millrace.agents SET status = 'busy' WHERE agent = 'agent-9'`},
	{world: "fold", invariant: "I7", what: "conversations that are not where they were put last", row: "conversation=conv-1 agent=agent-9",
		sql: `UPDATE millrace.conversations SET agent = 'agent-9' WHERE conversation = 'conv-1'`},
	{world: "fold", invariant: "I7", what: "messages that do not say what was said last", row: "id=M1 state=sent said=redacted",
		sql: `UPDATE millrace.messages SET state = 'sent' WHERE id = 'M1'`},
	{world: "fold", invariant: "I7", what: "emitted events that have not arrived", row: "id position/acct-1/1",
		sql: `DELETE FROM millrace.seen WHERE ` + toPosition + `1'`},
	{world: "fold", invariant: "I7", what: "emitted events that their target could not decide", row: "id position/acct-1/2",
		sql: `
DELETE FROM millrace.seen WHERE ` + toPosition + `2';
INSERT INTO millrace.dead_letters (id, function, tenant_id, source, event_id, type, subject, kind, reason, cause, event, created_at)
SELECT gen_random_uuid(), function, tenant_id, source, id, type, subject, 'undecided', 'x', 'x', convert_to((` + emittedJSON + `)::text, 'UTF8'), now()
FROM millrace.audit WHERE ` + toPosition + `2'`},
	{world: "fold", invariant: "I7", what: "emitted events that are parked at rest", row: "id position/acct-1/3",
		sql: `
DELETE FROM millrace.seen WHERE ` + toPosition + `3';
INSERT INTO millrace.parked (tenant_id, function, subject, source, sequence, id, event, parked_at)
SELECT tenant_id, function, subject, source, sequence, id, ` + emittedJSON + `, now()
FROM millrace.audit WHERE ` + toPosition + `3'`},
}

func shift(o kadm.Offsets, topic string, partition int32, by int64) error {
	at, ok := o.Lookup(topic, partition)
	if !ok {
		return fmt.Errorf("no offset of %s/%d", topic, partition)
	}
	at.At += by
	o[topic][partition] = at // Add would not go back
	return nil
}

func TestEachBreakageIsFound(t *testing.T) {
	t.Parallel()
	w := run(t, append(traffic(), record(9, `trade.executed.v1 T1 sequence=1 {"instrument":"other"}`))...)
	worlds := map[string][]breakage{}
	for _, b := range breakages {
		worlds[b.world] = append(worlds[b.world], b)
	}
	for name, broken := range worlds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := w.damaged(t, name, broken)
			for _, b := range broken {
				if !finds(report, b) {
					t.Errorf("not found: %s %s: ... %s ...", b.invariant, b.what, b.row)
				}
			}
			if t.Failed() {
				t.Log(report.String())
			}
		})
	}
}

func finds(report Report, b breakage) bool {
	return slices.ContainsFunc(report.Broken, func(found Broken) bool {
		return found.Invariant == b.invariant && found.What == b.what && slices.ContainsFunc(found.Rows, func(r Row) bool {
			return strings.Contains(r.String(), b.row)
		})
	})
}

// damaged checks a copy of the world that was damaged.
func (w *world) damaged(t *testing.T, name string, broken []breakage) Report {
	t.Helper()
	deps := w.deps
	deps.Rows = 100
	var sql []string
	var sent []Sent
	var kafka []func(context.Context, *kadm.Client, kadm.Offsets) error
	for _, b := range broken {
		sql = append(sql, b.sql)
		if b.redis != nil {
			if err := b.redis(t.Context(), deps.Redis); err != nil {
				t.Fatal(err)
			}
		}
		if b.kafka != nil {
			kafka = append(kafka, b.kafka)
		}
		if b.sent != (Sent{}) {
			sent = append(sent, b.sent)
		}
	}
	if len(kafka) > 0 {
		deps.ConsumerGroups = w.regroup(t, name+"-", kafka)
		// These three are there: seen, parked, dead.
		sent = append(sent, Sent{TenantID: "acme", Source: "/desk", ID: "T2"},
			Sent{TenantID: "acme", Source: "/desk", ID: "T7"}, Sent{TenantID: "acme", Source: "/other", ID: "P1"})
		deps.Sent = slices.Values(sent)
	}
	deps.Pool = w.open(t, w.copy(t, strings.Join(sql, ";\n")))
	t.Cleanup(deps.Pool.Close)
	report, err := Check(t.Context(), deps)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

var copies atomic.Int64

// copy copies the world's database, which nobody is connected to, and damages
// the copy: as if there were no triggers to guard it.
func (w *world) copy(t *testing.T, damage string) string {
	t.Helper()
	u, err := url.Parse(w.databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	source := strings.TrimPrefix(u.Path, "/")
	name := fmt.Sprintf("%s_copy_%d", source, copies.Add(1))
	w.execute(t, "postgres", fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", name, source))
	t.Cleanup(func() { w.execute(t, "postgres", fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", name)) })
	w.execute(t, name, "SET session_replication_role = replica; "+damage)
	u.Path = "/" + name
	return u.String()
}

func (w *world) execute(t *testing.T, database, sql string) {
	t.Helper()
	u, err := url.Parse(w.databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + database
	execute(t, u.String(), sql)
}

func execute(t *testing.T, databaseURL, sql string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
}

// regroup gives each topic a new group, whose offsets are those of the world's
// but for what is done to them.
func (w *world) regroup(t *testing.T, prefix string, damage []func(context.Context, *kadm.Client, kadm.Offsets) error) map[string]string {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.deps.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	groups, offsets := map[string]string{}, kadm.Offsets{}
	for topic, group := range w.deps.ConsumerGroups {
		groups[topic] = prefix + topic
		fetched, err := admin.FetchOffsets(t.Context(), group)
		if err != nil {
			t.Fatal(err)
		}
		for partition := range int32(10) {
			offsets.AddOffset(topic, partition, 0, -1)
			if o, ok := fetched.Lookup(topic, partition); ok && o.At > 0 {
				offsets.Add(o.Offset)
			}
		}
	}
	for _, do := range damage {
		if err := do(t.Context(), admin, offsets); err != nil {
			t.Fatal(err)
		}
	}
	for topic, group := range groups {
		of := kadm.Offsets{}
		of[topic] = offsets[topic]
		if err := admin.CommitAllOffsets(t.Context(), group, of); err != nil {
			t.Fatal(err)
		}
	}
	return groups
}

// TestEveryFindingIsTried holds the list of breakages against the source: a
// check that nobody has seen fail may be one that cannot.
func TestEveryFindingIsTried(t *testing.T) {
	t.Parallel()
	tried := map[string]bool{}
	for _, b := range breakages {
		tried[b.invariant+" "+b.what] = true
	}
	rules := append(identityRules(), orderRules()...)
	for _, by := range []map[string][]rule{factRules, saidRules} {
		for _, of := range by {
			rules = append(rules, of...)
		}
	}
	var findings []string
	for _, r := range rules {
		findings = append(findings, r.invariant+" "+r.what)
	}
	calls := regexp.MustCompile(`\.(?:brokenf|differs)\("(I\d)", "([^"]+)"|\.differ\("([^"]+)"`)
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		text, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range calls.FindAllStringSubmatch(string(text), -1) {
			if call[1] == "" {
				call[1], call[2] = "I5", call[3]
			}
			findings = append(findings, call[1]+" "+call[2])
		}
	}
	if len(findings) < 30 {
		t.Errorf("only %d findings were found in the source", len(findings))
	}
	for _, f := range findings {
		if !tried[f] {
			t.Errorf("no breakage tries: %s", f)
		}
	}
}
