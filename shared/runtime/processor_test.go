package runtime

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/fault"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/views"
)

func kinds(outcomes []Outcome) string {
	var out string
	for _, o := range outcomes {
		out += string(o.Kind) + " "
	}
	return out
}

func expect(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	expect(t, kinds(w.process(t, add("a", "x", 0, 1), add("b", "x", 0, 2), add("a", "x", 0, 1), add("c", "x", 0, -1))),
		"applied applied duplicate refused ")
	expect(t, w.summary(t, "x"), "total=3 version=3 audit=a:applied,b:applied,c:refused dead=c:negative")

	again := w.process(t, add("c", "x", 0, -1), add("a", "x", 0, 5))
	expect(t, kinds(again), "duplicate dead ")
	if again[0].First != Refused || again[0].Reason != "negative" || again[0].Version != 3 {
		t.Errorf("a repeat of a refused event: %+v, want the first outcome", again[0])
	}
	expect(t, w.summary(t, "x"), "total=3 version=3 audit=a:applied,b:applied,c:refused dead=a:identity-conflict,c:negative")
	expect(t, w.text(t, `SELECT sum(value)::text FROM millrace.aggregates WHERE key = 'house'`), "3")
}

// An older revision, which cannot read a newer one's event, knows it as decided.
// Its transaction locks something all the same: only so does its commit wait for a
// synchronous standby.
func TestRepeatThatCannotBeRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.process(t, add("a", "x", 0, 1))
	older := newCounter()
	older.Rules = nil
	w.Processor.fn = older
	expect(t, kinds(w.process(t, add("a", "x", 0, 1))), "duplicate ")
	expect(t, w.text(t, `SELECT (xmax::text <> '0')::text FROM millrace.seen`), "true")
}

// A pooler in transaction mode keeps no prepared statements for a session.
func TestWithoutPreparedStatements(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pool, err := pgxpool.New(t.Context(), w.url+"&default_query_exec_mode=cache_describe&pool_max_conns=1")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	w.Processor.pool = pool
	expect(t, kinds(w.process(t, add("c", "x", 3, 4), add("a", "x", 1, 1), add("r", "x", 0, -1), add("a", "x", 1, 1))),
		"parked applied refused duplicate ")
	expect(t, kinds(w.process(t, add("b", "x", 2, 2))), "applied ")
	expect(t, w.summary(t, "x"), "total=7 version=4 stream=3+0 audit=a:applied,r:refused,b:applied,c:applied dead=r:negative")
	w.pool = pool
	expect(t, w.text(t, `SELECT count(*)::text FROM pg_prepared_statements`), "0")
}

func TestStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	expect(t, kinds(w.process(t, add("a", "x", 1, 1), add("c", "x", 3, 4))), "applied parked ")
	expect(t, kinds(w.process(t, add("d", "x", 4, 8), add("c", "x", 3, 4))), "parked parked ")
	expect(t, w.summary(t, "x"), "total=1 version=1 stream=1+2 audit=a:applied parked=c,d")
	expect(t, kinds(w.process(t, add("b", "x", 2, 2))), "applied ")
	expect(t, w.summary(t, "x"), "total=15 version=4 stream=4+0 audit=a:applied,b:applied,c:applied,d:applied")
	expect(t, kinds(w.process(t, add("z", "x", 2, 9), add("b", "x", 2, 2))), "dead duplicate ")
}

// A stream with more parked events than a transaction drains is drained by the
// claims that come back.
func TestDrainLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for n := int64(2); n <= 9; n++ {
		w.process(t, add(fmt.Sprint("e", n), "x", n, 1))
	}
	w.process(t, add("e1", "x", 1, 1))
	expect(t, w.text(t, `SELECT position || '+' || parked FROM millrace.streams`), "4+5")
	w.drainAll(t)
	expect(t, w.text(t, `SELECT position || '+' || parked FROM millrace.streams`), "9+0")
	expect(t, w.text(t, `SELECT total::text FROM counters`), "9")
}

func TestPoison(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bad := add("m", "x", 0, 1)
	bad.Event.Type = "counter.unheard-of.v1"
	malformed := event.ParseStructured([]byte("{\"id\":\"\x00\"}"))
	outcomes := w.process(t, add("a", "x", 1, 1), add("p", "x", 2, 1, "panic"), add("q", "x", 3, 1),
		add("i", "y", 0, 1, "invalid"), add("big", "y", 0, 1000000), add("s", "y", 0, 1), bad, malformed)
	expect(t, kinds(outcomes), "applied dead parked dead dead applied dead dead ")
	expect(t, w.summary(t, "x"), "total=1 version=1 stream=1+1 audit=a:applied parked=q dead=m:unknown-type,p:rule-failed")
	expect(t, w.summary(t, "y"), "total=1 version=1 audit=s:applied dead=big:not-storable,i:bad-payload")
	expect(t, w.text(t, `SELECT reason FROM millrace.dead_letters WHERE tenant_id = ''`), "malformed")
	again := w.process(t, add("p", "x", 2, 1, "panic"), malformed)
	expect(t, kinds(again), "dead dead ")
	expect(t, w.text(t, `SELECT count(*)::text FROM millrace.dead_letters`), "5")
}

// What breaks while an event is read costs that event, also when it was parked by
// a version that could read it.
func TestPoisonBreaksTheReader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	broken := add("p", "x", 2, 1, "panic in Validate")
	expect(t, kinds(w.process(t, broken, add("q", "x", 3, 1), add("s", "y", 0, 1))), "dead parked applied ")
	expect(t, w.summary(t, "x"), "version=0 stream=0+1 parked=q dead=p:rule-failed")

	good := add("b", "z", 2, 1)
	w.process(t, good, add("c", "z", 3, 1))
	w.exec(t, `UPDATE millrace.parked SET event = jsonb_set(event::jsonb, '{data,note}', '"panic in Validate"')::json WHERE id = 'b'`)
	expect(t, kinds(w.process(t, add("a", "z", 1, 1))), "applied ")
	expect(t, w.summary(t, "z"), "total=1 version=1 stream=1+1 audit=a:applied parked=c dead=b:rule-failed")
}

// A parked event that the database refuses must not hold up the one that
// closes its gap.
func TestPoisonParked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.process(t, add("b", "x", 2, 1000000), add("c", "x", 3, 1))
	expect(t, kinds(w.process(t, add("a", "x", 1, 1))), "applied ")
	w.drainAll(t)
	expect(t, w.summary(t, "x"), "total=1 version=1 stream=1+1 audit=a:applied parked=c dead=b:not-storable")
}

// A function may run before the migration that made parked one table: what is
// taken out of one part must not be taken out of the others.
func TestParkedInParts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.pool.Exec(t.Context(), `
ALTER TABLE millrace.parked RENAME TO parked_whole;
CREATE TABLE millrace.parked (LIKE millrace.parked_whole INCLUDING ALL) PARTITION BY HASH (tenant_id);
CREATE TABLE millrace.parked_0 PARTITION OF millrace.parked FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE millrace.parked_1 PARTITION OF millrace.parked FOR VALUES WITH (MODULUS 2, REMAINDER 1)`)
	if err != nil {
		t.Fatal(err)
	}
	const tenants = 12
	of := func(tenant int, e event.Received) event.Received {
		e.Event.TenantID = fmt.Sprint("tenant-", tenant)
		return e
	}
	for tenant := range tenants {
		expect(t, kinds(w.process(t, of(tenant, add("b", "x", 2, 1)))), "parked ")
	}
	for tenant := range tenants {
		expect(t, kinds(w.process(t, of(tenant, add("a", "x", 1, 1)))), "applied ")
	}
	var decided int
	if err := w.pool.QueryRow(t.Context(), `SELECT count(*) FROM millrace.audit`).Scan(&decided); err != nil {
		t.Fatal(err)
	}
	if decided != 2*tenants {
		t.Errorf("%d events were decided, want %d", decided, 2*tenants)
	}
}

// Two processes get the events of one entity, each its own half of the
// sequence, in pieces: whoever parks an event must do so under the lock under
// which it looked, or the one who closes the gap misses it for ever.
func TestTwoProcessesOneEntity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const events = 200
	var group errgroup.Group
	for half := range 2 {
		p := w.processor()
		p.limits.drain = events
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			for n := half + 1; n <= events; n += 2 {
				if _, err := p.Process(ctx, []event.Received{add(fmt.Sprint("e", n), "x", int64(n), int64(n))}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	expect(t, w.text(t, `SELECT position || '+' || parked FROM millrace.streams`), fmt.Sprintf("%d+0", events))
	expect(t, w.text(t, `SELECT total::text FROM counters`), fmt.Sprint(events*(events+1)/2))
	expect(t, w.text(t, `SELECT (string_agg(sequence::text, ',' ORDER BY version) = string_agg(sequence::text, ',' ORDER BY sequence)
		AND count(*) = max(version))::text FROM millrace.audit`), "true")
	expect(t, w.text(t, `SELECT count(*)::text FROM millrace.parked`), "0")
}

// Two processes whose clocks are two hours apart take turns at an entity: its order
// is that in which they had it. What they leave behind is not of the future, where
// no operator's command would find it.
func TestClocksApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	early, late := w.processor(), w.processor()
	early.clock = func() time.Time { return time.Now().UTC().Add(-time.Hour) }
	late.clock = func() time.Time { return time.Now().UTC().Add(time.Hour) }
	for n := int64(1); n <= 6; n += 2 {
		w.Processor = late
		w.process(t, add(fmt.Sprint("e", n), "x", n, 1), add(fmt.Sprint("dead", n), "x", 0, 1, "invalid"))
		w.process(t, add(fmt.Sprint("later", n), "y", n+1, 1))
		w.Processor = early
		w.process(t, add(fmt.Sprint("e", n+1), "x", n+1, 1))
		w.process(t, add(fmt.Sprint("sooner", n), "y", n, 1))
		w.drainAll(t)
	}
	for _, subject := range []string{"x", "y"} {
		expect(t, w.text(t, `SELECT string_agg(sequence::text, ',' ORDER BY version) || ' to ' || max(version)
			FROM millrace.audit WHERE subject = $1`, subject), "1,2,3,4,5,6 to 6")
	}
	expect(t, w.text(t, `SELECT count(*) || ' and ' || count(*) FILTER (WHERE created_at > now()) FROM millrace.dead_letters`), "3 and 0")
}

// Two processes get the same event at the same time, for different entities.
func TestOneIdentityTwoEntities(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var group errgroup.Group
	for n := range 2 {
		p := w.processor()
		group.Go(func() error {
			for i := range 50 {
				_, err := p.Process(context.Background(), []event.Received{add(fmt.Sprint("e", i), fmt.Sprint("x", n), 0, 1)})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	expect(t, w.text(t, `SELECT sum(total)::text FROM counters`), "50")
	expect(t, w.text(t, `SELECT count(*)::text FROM millrace.dead_letters WHERE reason = 'identity-conflict'`), "50")
}

// A tenant with too many dead letters keeps no more of them; what can be
// decided goes on, and so do other tenants.
func TestDeadLetterLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.limits.dead = 2
	w.process(t, add("i1", "x", 0, 1, "invalid"), add("r1", "y", 0, -1), add("r2", "y", 0, -1), add("i2", "x", 0, 1, "invalid"))
	outcomes, err := w.Process(t.Context(), []event.Received{add("a", "x", 0, 1), add("i3", "x", 0, 1, "invalid"), add("b", "x", 0, 1)})
	if fault.KindOf(err) != fault.Unprocessable {
		t.Errorf("got %v, want unprocessable", err)
	}
	expect(t, kinds(outcomes), "applied  applied ")
	expect(t, w.summary(t, "x"), "total=2 version=2 audit=a:applied,b:applied dead=i1:bad-payload,i2:bad-payload")
	expect(t, kinds(w.process(t, add("r3", "y", 0, -1))), "refused ") // what was decided is not limited
}

// What was redriven and fails again is an open dead letter again.
// A process remembers which entities it made, and a restore of the database may
// have taken them away.
func TestEntitiesThatAreGoneAreMadeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.process(t, add("a", "x", 0, 1))
	if _, err := w.pool.Exec(t.Context(), `TRUNCATE millrace.entities, millrace.audit, millrace.counters`); err != nil {
		t.Fatal(err)
	}
	expect(t, kinds(w.process(t, add("e", "x", 0, 3), add("f", "new", 0, 4))), "applied applied ")
	expect(t, w.summary(t, "x"), "total=3 version=1 audit=e:applied")
}

func TestDeadLetterOpensAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bad := add("i", "x", 0, 1, "invalid")
	w.process(t, bad)
	if _, err := w.pool.Exec(t.Context(), `UPDATE millrace.dead_letters SET state = 'redriven'`); err != nil {
		t.Fatal(err)
	}
	w.process(t, bad, bad)
	expect(t, w.text(t, `SELECT string_agg(state, ',') FROM millrace.dead_letters`), "open")
}

// What a transaction reads of parked events is bounded in bytes too, over all
// streams: of each, the rest is left to later ones.
func TestDrainLimitInBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.limits.drain, w.limits.drainBytes = 100, 1000 // three or four events
	var parked, closing []event.Received
	for _, subject := range []string{"s1", "s2"} {
		for n := int64(2); n <= 9; n++ {
			parked = append(parked, add(fmt.Sprint(subject, n), subject, n, 1))
		}
		closing = append(closing, add(fmt.Sprint(subject, 1), subject, 1, 1))
	}
	w.process(t, parked...)
	w.process(t, closing...)
	if left := w.text(t, `SELECT sum(parked)::text FROM millrace.streams`); left < "10" || left > "15" {
		t.Errorf("%s of 16 events are left, want 10 to 15", left)
	}
	// A row that was not read comes again, and is still itself.
	expect(t, kinds(w.process(t, parked[7])), "parked ")
	w.drainAll(t)
	expect(t, w.text(t, `SELECT sum(position) || '+' || sum(parked) FROM millrace.streams`), "18+0")
	expect(t, w.text(t, `SELECT sum(total)::text FROM counters`), "18")
	expect(t, w.text(t, `SELECT count(*)::text FROM millrace.dead_letters`), "0")
}

// The limit of a drain is the transaction's, over all streams.
func TestDrainLimitOfManyStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var parked, closing []event.Received
	for i := range 5 {
		subject := fmt.Sprint("s", i)
		for n := int64(2); n <= 4; n++ {
			parked = append(parked, add(fmt.Sprint(subject, n), subject, n, 1))
		}
		closing = append(closing, add(fmt.Sprint(subject, 1), subject, 1, 1))
	}
	w.process(t, parked...)
	w.process(t, closing...)
	expect(t, w.text(t, `SELECT sum(position) || '+' || sum(parked) FROM millrace.streams`), "10+10")
	w.drainAll(t)
	expect(t, w.text(t, `SELECT sum(position) || '+' || sum(parked) FROM millrace.streams`), "20+0")
}

// A function that breaks outside of its rules breaks on one event, not on its
// neighbours.
func TestViewsPanic(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fn := newCounter()
	fn.Views = func(e *function.Entity[counter]) []views.View {
		if e.State.Total >= 100 {
			panic("no view for that")
		}
		return nil
	}
	w.fn = fn
	expect(t, kinds(w.process(t, add("a", "x", 0, 1), add("b", "y", 0, 100), add("c", "x", 0, 1))), "applied dead applied ")
	expect(t, w.summary(t, "x"), "total=2 version=2 audit=a:applied,c:applied")
	expect(t, w.text(t, `SELECT reason FROM millrace.dead_letters`), "rule-failed")
}
