package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
)

// The events of a counter that counts notes, which can be redacted.
type (
	noted struct {
		Note  string   `json:"note"`
		Marks []string `json:"marks"`
	}
	renoted struct {
		Of     string `json:"of"`
		Note   string `json:"note"`
		Refuse bool   `json:"refuse"`
	}
	unnoted struct {
		Of string `json:"of"`
	}
)

func (n noted) Validate() error {
	if n.Note == "" {
		return errors.New("note is missing")
	}
	return nil
}
func (noted) Confidential() []string { return []string{"note", "marks"} }

func (r renoted) Validate() error      { return noted{Note: r.Note}.Validate() }
func (renoted) Confidential() []string { return []string{"note"} }
func (r renoted) RefersTo(own function.Name) function.Name {
	return function.Name{Source: own.Source, ID: r.Of}
}
func (u unnoted) Validate() error { return nil }
func (u unnoted) RefersTo(function.Name) function.Name {
	return function.Name{Source: "/test", ID: u.Of}
}

func newNotes() *function.Function[counter] {
	fn := newCounter()
	fn.Rules = []function.Rule[counter]{
		function.On("counter.noted.v1", func(s *counter, _ function.Event, _ noted, _ *function.Effects) error {
			s.Total++
			s.changed = true
			return nil
		}),
		function.On("counter.renoted.v1", func(_ *counter, _ function.Event, r renoted, _ *function.Effects) error {
			if r.Refuse {
				return function.Refuse("asked", "as asked")
			}
			return nil
		}),
		function.On("counter.unnoted.v1", func(_ *counter, e function.Event, u unnoted, fx *function.Effects) error {
			fx.Redact(u.RefersTo(e.Name()))
			return nil
		}),
	}
	return fn
}

func newNotesWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.fn, w.privacy = newNotes(), privacyOf(newNotes())
	return w
}

// note makes an event from "type id attributes", such as "renoted b sequence=2".
func note(spec, data string) event.Received {
	words := strings.Fields(spec)
	e := &event.Event{
		TenantID: "acme", Source: "/test", ID: words[1], Type: "counter." + words[0] + ".v1", Subject: "x",
		Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Data: []byte(data), IsJSON: true,
	}
	for _, word := range words[2:] {
		name, value, _ := strings.Cut(word, "=")
		if err := e.SetAttribute(name, value); err != nil {
			panic(err)
		}
	}
	return event.Received{Event: e, Raw: event.AppendJSON(nil, e)}
}

// saying lists what is stored that still says the secret.
func (w *world) saying(t *testing.T) string {
	t.Helper()
	var found string
	err := w.pool.QueryRow(t.Context(), `
SELECT coalesce(string_agg(what, ' ' ORDER BY what), '')
FROM (
    SELECT 'audit:' || id AS what FROM millrace.audit WHERE data::text LIKE $1
    UNION ALL SELECT 'parked:' || id FROM millrace.parked WHERE event::text LIKE $1
    UNION ALL SELECT 'dead:' || event_id || ':' || reason FROM millrace.dead_letters WHERE encode(event, 'escape') LIKE $1
) AS stored`, "%secret%").Scan(&found)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

const secret = `{"note":"secret","marks":["secret"]}`

func TestRedactionOverwritesWhatIsStored(t *testing.T) {
	t.Parallel()
	w := newNotesWorld(t)
	w.process(t, note("noted a subject=y", `{"text":"secret"}`)) // wrong, and about another entity
	w.process(t,
		note("noted a", secret),
		note("noted a", `{"note":"another secret"}`),
		note("renoted b", `{"of":"a","note":"secret"}`),
		note("renoted c", `{"of":"a","note":"secret","refuse":true}`),
		note("renoted d", `{"of":"a","text":"secret"}`),
		note("unheard-of e", `{"deep":[{"of":"a"}],"text":"secret"}`),
		note("renoted f sequence=3", `{"of":"a","note":"secret"}`),
		note("noted kept", secret),
		note("renoted kept2", `{"of":"kept","note":"secret a"}`),
		note("renoted kept3", `{"of":"kept","text":"secret a"}`),
		note("noted a tenantid=other", secret),
		note("noted a source=/other", secret),
	)
	before := w.text(t, `SELECT string_agg(encode(digest, 'hex'), ' ' ORDER BY id) FROM millrace.audit`)
	expect(t, w.saying(t), "audit:a audit:a audit:a audit:b audit:c audit:kept audit:kept2 "+
		"dead:a:bad-payload dead:a:identity-conflict dead:c:asked dead:d:bad-payload dead:e:unknown-type dead:kept3:bad-payload parked:f")
	expect(t, kinds(w.process(t, note("unnoted r", `{"of":"a"}`))), "applied ")
	expect(t, w.saying(t), "audit:a audit:a audit:kept audit:kept2 dead:kept3:bad-payload")
	expect(t, w.text(t, `SELECT data::text FROM millrace.audit WHERE id = 'a' AND tenant_id = 'acme' AND source = '/test'`),
		`{"marks":[],"note":"[redacted]"}`)
	expect(t, w.text(t, `SELECT string_agg(encode(digest, 'hex'), ' ' ORDER BY id) FROM millrace.audit WHERE id <> 'r'`), before)
	expect(t, w.text(t, `SELECT subject || ' ' || source || ' ' || id || ' ' || version FROM millrace.redactions`), "x /test a 7")

	// What is parked is decided in its turn, as what it was.
	expect(t, kinds(w.process(t, note("noted one sequence=1", secret), note("noted two sequence=2", secret))), "applied applied ")
	expect(t, kinds(w.process(t, note("renoted f sequence=3", `{"of":"a","note":"secret"}`))), "duplicate ")
	expect(t, w.saying(t), "audit:a audit:a audit:kept audit:kept2 audit:one audit:two dead:kept3:bad-payload")
}

// A producer that counts its ids anew for each entity loses nothing by that,
// unless the event whose identity it used again is redacted.
func TestIdentityOfAnotherEntity(t *testing.T) {
	t.Parallel()
	w := newNotesWorld(t)
	expect(t, kinds(w.process(t, note("noted a", secret), note("noted b", secret))), "applied applied ")
	expect(t, kinds(w.process(t, note("unnoted r", `{"of":"b"}`), note("noted a subject=y", secret), note("noted b subject=y", secret))),
		"applied dead dead ")
	expect(t, w.saying(t), "audit:a dead:a:identity-conflict")
	expect(t, kinds(w.process(t, note("noted b subject=z", secret), note("noted a subject=z", secret))), "dead dead ")
	expect(t, w.saying(t), "audit:a dead:a:identity-conflict dead:a:identity-conflict")
}

// What names the event by a number is no valid reference, and says all the same
// what was redacted; so does what went to another function by mistake.
func TestRedactionOfWhatWasSentWrongly(t *testing.T) {
	t.Parallel()
	w := newNotesWorld(t)
	notes, other := w.fn, newCounter()
	other.Name, other.Rules = "agent", nil
	w.fn, w.privacy = other, privacyOf(other)
	expect(t, kinds(w.process(t, note("noted 123", secret))), "dead ")
	w.fn, w.privacy = notes, privacyOf(notes)
	w.process(t, note("noted 123", secret), note("renoted d", `{"of":123,"note":"secret"}`))
	expect(t, w.saying(t), "audit:123 dead:123:unknown-type dead:d:bad-payload")
	w.process(t, note("unnoted r", `{"of":"123"}`), note("renoted e", `{"of":123,"note":"secret"}`))
	expect(t, w.saying(t), "")
}

func TestWhatComesAfterARedaction(t *testing.T) {
	t.Parallel()
	w := newNotesWorld(t)
	w.process(t, note("noted a", secret), note("unnoted r", `{"of":"a"}`))
	outcomes := w.process(t,
		note("noted a", secret),
		note("noted a", `{"note":"another secret"}`),
		note("noted a subject=y", secret),
		note("renoted b", `{"of":"a","note":"secret"}`),
		note("renoted c", `{"of":"a","note":"secret","refuse":true}`),
		note("renoted d", `{"of":"a","text":"secret"}`),
		note("renoted e sequence=2", `{"of":"a","note":"secret"}`),
		note("renoted b", `{"of":"a","note":"secret"}`),
	)
	expect(t, kinds(outcomes), "duplicate dead dead applied refused dead parked duplicate ")
	expect(t, w.saying(t), "")
	again := w.process(t, note("renoted b", `{"of":"a","note":"secret"}`), note("renoted d", `{"of":"a","text":"secret"}`),
		note("renoted e sequence=2", `{"of":"a","note":"secret"}`))
	expect(t, kinds(again), "duplicate dead parked ")
	expect(t, w.text(t, `SELECT count(*)::text FROM millrace.dead_letters`), "4")
	expect(t, w.saying(t), "")
}

func TestRedactionInOneBatch(t *testing.T) {
	t.Parallel()
	w := newNotesWorld(t)
	w.process(t, note("renoted p sequence=2", `{"of":"a","note":"secret"}`))
	outcomes := w.process(t, note("noted a", secret), note("unnoted r", `{"of":"a"}`), note("renoted l", `{"of":"a","note":"secret"}`),
		note("noted a", `{"note":"another secret"}`), note("unnoted r2", `{"of":"a"}`), note("noted o sequence=1", `{"note":"open"}`))
	expect(t, kinds(outcomes), "applied applied applied dead applied applied ")
	expect(t, w.saying(t), "")
	expect(t, w.text(t, `SELECT string_agg(id, '' ORDER BY version) FROM millrace.audit`), "arlr2op")
}

// What cannot be read has no place where a redaction would look for it.
func TestUnreadableEventsAreKeptWithoutTheirData(t *testing.T) {
	t.Parallel()
	w := newNotesWorld(t)
	w.process(t, event.ParseStructured([]byte(`{"specversion":"1.0","id":"a","time":"noon","knativekafkaoffset":7,"data":{"note":"secret"}}`)),
		event.ParseStructured([]byte(`{"specversion":"1.0","id":{"note":"secret"},"note":"secret"}`)),
		event.ParseStructured([]byte(`{"specversion":"1.0","id":"a","source":"/test","data":"secret"}`)),
		event.ParseStructured([]byte(`secret 1`)), event.ParseStructured([]byte(`secret 2`)))
	expect(t, w.saying(t), "")
	expect(t, w.text(t, `SELECT string_agg(encode(event, 'escape'), ' ' ORDER BY event) FROM millrace.dead_letters`),
		`{"id":"a","knativekafkaoffset":7,"time":"noon"} {"id":"a","source":"/test"} {} {} {}`)
}

// A dead letter that is written while its event is redacted is not missed.
func TestRedactionMeetsDeadLetters(t *testing.T) {
	t.Parallel()
	w := newNotesWorld(t)
	const events = 40
	var group errgroup.Group
	for n := range events {
		w.process(t, note(fmt.Sprint("noted a", n), secret))
		for _, e := range []event.Received{note(fmt.Sprint("unnoted r", n), fmt.Sprintf(`{"of":"a%d"}`, n)),
			note(fmt.Sprint("renoted b", n), fmt.Sprintf(`{"of":"a%d","text":"secret"}`, n))} {
			p := w.processor()
			p.fn, p.privacy = w.fn, w.privacy
			group.Go(func() error {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				_, err := p.Process(ctx, []event.Received{e})
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	expect(t, w.saying(t), "")
	expect(t, w.text(t, `SELECT count(*)::text FROM millrace.dead_letters`), fmt.Sprint(events))
}

// Bytes in the place of an event go as a whole, if their row says that they
// are it.
func TestRedactionOfWhatCannotBeTakenApart(t *testing.T) {
	t.Parallel()
	w := newNotesWorld(t)
	w.process(t, note("noted a", secret), note("noted a", `{"note":"another secret"}`), note("renoted p sequence=2", `{"of":"a","note":"secret"}`))
	if _, err := w.pool.Exec(t.Context(), `UPDATE millrace.dead_letters SET event = 'secret, cut o', digest = NULL`); err != nil {
		t.Fatal(err)
	}
	if _, err := w.pool.Exec(t.Context(), `UPDATE millrace.parked SET event = '["a secret"]', digest = NULL`); err != nil {
		t.Fatal(err)
	}
	w.process(t, note("unnoted r", `{"of":"a"}`))
	expect(t, w.saying(t), "")
	expect(t, w.text(t, `SELECT encode(event, 'escape') FROM millrace.dead_letters`),
		`{"specversion":"1.0","id":"a","source":"/test","type":"counter.noted.v1","subject":"x","tenantid":"acme"}`)
}

// A parked row that cannot be read back is a dead letter in its turn, and holds
// nobody up.
func TestParkedRowThatCannotBeReadBack(t *testing.T) {
	t.Parallel()
	for _, broken := range []string{`{}`, `[]`, `{"specversion":"1.0","id":"other","source":"/test","tenantid":"acme","subject":"x"}`} {
		t.Run(broken, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.process(t, add("b", "x", 2, 1), add("c", "x", 3, 1))
			if _, err := w.pool.Exec(t.Context(), `UPDATE millrace.parked SET event = $1 WHERE id = 'b'`, broken); err != nil {
				t.Fatal(err)
			}
			expect(t, kinds(w.process(t, add("a", "x", 1, 1), add("y", "y", 0, 1))), "applied applied ")
			expect(t, w.summary(t, "x"), "total=1 version=1 stream=1+1 audit=a:applied parked=c dead=b:malformed")
			expect(t, kinds(w.process(t, add("b", "x", 2, 1))), "applied ")
			expect(t, w.summary(t, "x"), "total=3 version=3 stream=3+0 audit=a:applied,b:applied,c:applied dead=b:malformed")
		})
	}
}

// A function without confidential payloads neither reads redactions nor locks
// entities for what it cannot decide.
func TestWithoutConfidentialPayloadsNothingIsRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.pool.Exec(t.Context(), `DROP TABLE millrace.redactions`); err != nil {
		t.Fatal(err)
	}
	expect(t, kinds(w.process(t, add("a", "x", 0, 1), add("i", "y", 0, 1, "invalid"))), "applied dead ")
	expect(t, w.text(t, `SELECT string_agg(subject, ',') FROM millrace.entities`), "x")
}
