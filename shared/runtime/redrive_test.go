package runtime

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/millrace/millrace/shared/event"
)

// redriven is r as an operator sends it again: naming its dead letter.
func (w *world) redriven(t *testing.T, r event.Received) event.Received {
	t.Helper()
	id := w.text(t, `SELECT id::text FROM millrace.dead_letters WHERE event_id = $1`, r.Event.ID)
	return naming(id, w.text(t, `SELECT convert_from(event, 'UTF8') FROM millrace.dead_letters WHERE id::text = $1`, id))
}

func naming(id, raw string) event.Received {
	e := event.ParseStructured([]byte(raw)).Event
	if err := e.SetAttribute(event.DeadLetterExtension, id); err != nil {
		panic(err)
	}
	return event.ParseStructured(event.AppendJSON(nil, e))
}

// operator sets a dead letter to redriving.
func (w *world) operator(t *testing.T, id string) {
	t.Helper()
	w.exec(t, `UPDATE millrace.dead_letters SET state = 'redriving' WHERE event_id = $1 AND state = 'open'`, id)
}

func (w *world) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := w.pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// letters says what the dead letters are.
func (w *world) letters(t *testing.T) string {
	t.Helper()
	return w.text(t, `SELECT coalesce(string_agg(event_id || ':' || kind || ':' || reason || ':' || state, ' ' ORDER BY event_id, reason), '') FROM millrace.dead_letters`)
}

// lenient is the counter function of a new version, which takes amounts below
// zero and the type that the old one did not know.
func (w *world) lenient() {
	fn := newCounter()
	fn.Rules[0] = lenientRule("counter.added.v1")
	fn.Rules = append(fn.Rules, lenientRule("counter.unheard-of.v1"))
	w.fn = fn
}

func TestRedriveRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := add("r", "x", 1, -5)
	w.process(t, r, add("a", "x", 2, 7))
	expect(t, kinds(w.process(t, w.redriven(t, r))), "duplicate ") // a producer alone
	expect(t, w.letters(t), "r:refused:negative:open")

	w.operator(t, "r")
	expect(t, kinds(w.process(t, w.redriven(t, r))), "refused ")
	expect(t, w.letters(t), "r:refused:negative:open")
	expect(t, w.summary(t, "x"), "total=7 version=3 stream=2+0 audit=r:refused,a:applied,r:refused dead=r:negative")
	expect(t, kinds(w.process(t, w.redriven(t, r))), "duplicate ") // its record again

	w.lenient()
	w.operator(t, "r")
	expect(t, kinds(w.process(t, w.redriven(t, r), w.redriven(t, r), add("b", "x", 3, 1))), "applied duplicate applied ")
	expect(t, w.letters(t), "r:refused:negative:redriven")
	expect(t, kinds(w.process(t, w.redriven(t, r), r)), "duplicate duplicate ")
	expect(t, w.summary(t, "x"), "total=3 version=5 stream=3+0 audit=r:refused,a:applied,r:refused,r:applied,b:applied dead=r:negative")
	expect(t, w.text(t, `SELECT outcome || ' ' || version FROM millrace.seen WHERE id = 'r'`), "applied 4")
	expect(t, w.text(t, `SELECT string_agg(coalesce(attributes->>'millracedeadletter' = (SELECT id::text FROM millrace.dead_letters), false)::text, ' ' ORDER BY version)
		FROM millrace.audit WHERE id = 'r'`), "false true true")
}

// A producer that names the dead letter of somebody else waits for no lock on it
// and makes nobody read it.
func TestForeignDeadLetterIsNotTouched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bad := add("u", "x", 0, 5, "invalid")
	w.process(t, bad)
	w.operator(t, "u")
	tx, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }() // it only locks
	if _, err := tx.Exec(t.Context(), `SELECT FROM millrace.dead_letters FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	id := w.text(t, `SELECT id::text FROM millrace.dead_letters`)
	forged := naming(id, string(event.AppendJSON(nil, add("f", "x", 0, 1).Event)))
	expect(t, kinds(w.process(t, forged)), "applied ")
	expect(t, w.letters(t), "u:undecided:bad-payload:redriving")
}

func TestRedriveUndecided(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := add("u", "x", 1, 5)
	u.Event.Type = "counter.unheard-of.v1"
	u = event.ParseStructured(event.AppendJSON(nil, u.Event))
	expect(t, kinds(w.process(t, u, add("b", "x", 2, 1))), "dead parked ")
	w.operator(t, "u")
	expect(t, kinds(w.process(t, u)), "dead ") // the producer's own repeat leaves the operator's alone
	expect(t, w.letters(t), "u:undecided:unknown-type:redriving")
	expect(t, kinds(w.process(t, w.redriven(t, u))), "dead ")
	expect(t, w.letters(t), "u:undecided:unknown-type:open")

	w.lenient()
	w.operator(t, "u")
	again := w.redriven(t, u)
	expect(t, kinds(w.process(t, again)), "applied ")
	expect(t, w.letters(t), "u:undecided:unknown-type:redriven")
	expect(t, kinds(w.process(t, w.redriven(t, u))), "duplicate ")
	expect(t, w.summary(t, "x"), "total=6 version=2 stream=2+0 audit=u:applied,b:applied dead=u:unknown-type")
	expect(t, w.text(t, `SELECT (data::text || coalesce(attributes->>'millracedeadletter', '')) FROM millrace.audit WHERE id = 'b'`), `{"amount":1}`)
}

// What was undecided and is refused now is a refused one from then on.
func TestRedriveUndecidedThenRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := add("u", "x", 0, -5, "panic")
	w.process(t, u)
	fn := newCounter()
	fn.Rules[0] = strictRule()
	w.fn = fn
	w.operator(t, "u")
	expect(t, kinds(w.process(t, w.redriven(t, u))), "refused ")
	expect(t, w.letters(t), "u:refused:negative:open")
	w.lenient()
	w.operator(t, "u")
	expect(t, kinds(w.process(t, w.redriven(t, u))), "applied ")
	expect(t, w.letters(t), "u:refused:negative:redriven")
	expect(t, w.summary(t, "x"), "total=-5 version=2 audit=u:refused,u:applied dead=u:negative")
}

// A redrive that fails in another way is the same dead letter, and its record is
// harmless when it comes again.
func TestRedriveFailsInAnotherWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := add("u", "x", 1, 5, "panic")
	w.process(t, u)
	w.exec(t, `UPDATE millrace.streams SET position = 1`) // as an operator's skip does
	w.operator(t, "u")
	expect(t, kinds(w.process(t, w.redriven(t, u))), "dead ")
	expect(t, w.letters(t), "u:undecided:rule-failed:open")

	w.process(t, add("z", "x", 1, 0))
	w.operator(t, "u")
	record := w.redriven(t, u)
	raw := string(record.Raw)
	expect(t, kinds(w.process(t, record)), "dead ")
	expect(t, w.letters(t), "u:undecided:sequence-reused:open")
	expect(t, kinds(w.process(t, event.ParseStructured([]byte(raw)))), "dead ")
	expect(t, w.letters(t), "u:undecided:sequence-reused:open")
	w.exec(t, `UPDATE millrace.dead_letters SET state = 'dropped'`)
	expect(t, kinds(w.process(t, event.ParseStructured([]byte(raw)))), "dead ")
	expect(t, w.letters(t), "u:undecided:sequence-reused:dropped")
}

// Who knows the name of a dead letter can send nothing else under it.
func TestRedriveForged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := add("r", "x", 0, -5)
	w.process(t, r)
	w.lenient()
	w.operator(t, "r")
	id := w.text(t, `SELECT id::text FROM millrace.dead_letters`)
	other, otherAmount, otherSubject := add("o", "x", 0, -9), add("r", "x", 0, -9), add("r", "y", 0, -5)
	expect(t, kinds(w.process(t, naming(id, string(other.Raw)), naming(id, string(otherAmount.Raw)), naming(id, string(otherSubject.Raw)),
		naming("00000000-0000-0000-0000-000000000001", string(r.Raw)), naming("nonsense", string(r.Raw)))),
		"applied dead dead duplicate duplicate ")
	expect(t, w.text(t, `SELECT state FROM millrace.dead_letters WHERE id::text = $1`, id), "redriving")
	expect(t, w.text(t, `SELECT count(*)::text FROM millrace.audit WHERE attributes IS NOT NULL`), "0")
	expect(t, w.text(t, `SELECT total::text FROM counters WHERE subject = 'x'`), "-9")
}

// Two processes get the records of one redrive, and of two at once.
func TestRedrivesAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const events = 40
	var records []string
	for n := range events {
		r := add(fmt.Sprint("r", n), "x", int64(n+1), -1)
		w.process(t, r)
		w.operator(t, r.Event.ID)
		records = append(records, string(w.redriven(t, r).Raw))
	}
	w.lenient()
	var group errgroup.Group
	for range 3 {
		p := w.processor()
		p.fn = w.fn
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			for _, raw := range records {
				if _, err := p.Process(ctx, []event.Received{event.ParseStructured([]byte(raw))}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	expect(t, w.text(t, `SELECT total || ' ' || (SELECT version FROM millrace.entities) || ' ' || (SELECT position FROM millrace.streams) FROM counters`),
		fmt.Sprint(-events, 2*events, events))
	expect(t, w.text(t, `SELECT count(*)::text FROM millrace.dead_letters WHERE state = 'redriven'`), fmt.Sprint(events))
	expect(t, strings.TrimSpace(w.text(t, `SELECT string_agg(DISTINCT outcome, ' ') FROM millrace.seen`)), "applied")
}

// A tenant at its limit can still be redriven, and what fails is open again.
func TestRedriveAtTheLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.limits.dead = 1
	bad := add("i", "x", 0, 1, "invalid")
	w.process(t, bad)
	w.operator(t, "i")
	w.process(t, add("j", "x", 0, 1, "invalid")) // takes the place
	expect(t, kinds(w.process(t, w.redriven(t, bad))), "dead ")
	expect(t, w.letters(t), "i:undecided:bad-payload:open j:undecided:bad-payload:open")
}

// What a redaction has left of an event stands for it.
func TestRedriveOfSomethingRedacted(t *testing.T) {
	t.Parallel()
	w := newNotesWorld(t)
	refused := note("renoted b", `{"of":"a","note":"secret","refuse":true}`)
	unreadable := note("noted c", `{"about":"a","text":"secret"}`)
	w.process(t, note("noted a", secret), refused, unreadable)
	early := w.redriven(t, refused).Raw // its record lies in Kafka when the event is redacted
	w.process(t, note("unnoted r", `{"of":"a"}`))
	expect(t, w.saying(t), "")

	w.exec(t, `UPDATE millrace.dead_letters SET state = 'redriving'`)
	expect(t, kinds(w.process(t, w.redriven(t, refused))), "refused ") // the same event: its identity is no conflict
	expect(t, kinds(w.process(t, event.ParseStructured(early))), "duplicate ")
	expect(t, kinds(w.process(t, w.redriven(t, unreadable))), "dead ")
	expect(t, w.letters(t), "b:refused:asked:open c:undecided:bad-payload:open")
	expect(t, w.text(t, `SELECT string_agg(cause, '' ORDER BY event_id) FROM millrace.dead_letters WHERE event_id = 'c'`), "nobody could read what it said, and that was redacted")

	w.exec(t, `UPDATE millrace.dead_letters SET state = 'redriving'`)
	expect(t, kinds(w.process(t, event.ParseStructured(early))), "refused ")
	expect(t, w.letters(t), "b:refused:asked:open c:undecided:bad-payload:redriving")
	expect(t, w.saying(t), "")
	expect(t, w.text(t, `SELECT count(DISTINCT digest)::text || count(*) FROM millrace.audit WHERE id = 'b'`), "13")
}
