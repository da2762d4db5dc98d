package function

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/views"
)

type note struct {
	To   string `json:"to"`
	Text string `json:"text"`
}

func (note) Validate() error { return nil }

func forward(_ *int, _ Event, p note, fx *Effects) error {
	fx.Emit("ledger.posted.v1", p.To, p)
	return nil
}

func sound() *Function[int] {
	nothing := func(*pgx.Batch, []*Entity[int]) {}
	return &Function[int]{
		Name: "note", Rules: []Rule[int]{On("note.sent.v1", forward)},
		Load: nothing, Save: nothing, LoadAll: nothing, LoadViews: nothing,
		Views: func(*Entity[int]) []views.View { return nil },
	}
}

func TestCheckNamesAllThatIsWrong(t *testing.T) {
	t.Parallel()
	if err := sound().Check(); err != nil {
		t.Error(err)
	}
	f := sound()
	f.Rules = append(f.Rules, On("note.sent.v1", forward), On("mail.sent.v1", forward), On("note", forward))
	f.Load, f.Save, f.LoadAll, f.LoadViews = nil, nil, nil, nil
	err := f.Check()
	for _, want := range []string{"Load", "Save", "LoadAll", "LoadViews", "two rules for note.sent.v1", `"mail.sent.v1"`, `"note"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in: %v", want, err)
		}
	}
	if err := (&Function[int]{}).Check(); err == nil || !strings.Contains(err.Error(), "name") {
		t.Errorf("a function without a name: %v", err)
	}
}

func TestEmitter(t *testing.T) {
	t.Parallel()
	for _, subject := range []string{"a", "account {1}/x", "%2F", "ü"} {
		if name, entity, ok := Emitter(EmitterSource("note", subject)); !ok || name != "note" || entity != subject {
			t.Errorf("%q is %q of %q, %t", subject, entity, name, ok)
		}
	}
	for _, source := range []string{"/desk", "/millrace/note", "/millrace/note/%", "/millrace/note/%00", "/millrace/note/%ff"} {
		if name, entity, ok := Emitter(source); ok {
			t.Errorf("%s emits for %q of %q", source, entity, name)
		}
	}
}

// TestEmittedEventsCanBeRead: what the receiver would refuse breaks the rule
// that emits it.
func TestEmittedEventsCanBeRead(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]note{
		"no subject": {}, "a long subject": {To: strings.Repeat("x", event.MaxSubject+1)}, "NUL": {To: "a\x00"},
		"too large": {To: "a", Text: strings.Repeat("x", MaxEmittedBytes)},
	} {
		f := sound()
		e := &event.Event{TenantID: "acme", Source: "/s", ID: "1", Type: "note.sent.v1", Subject: "a", Time: time.Unix(1e9, 0)}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was emitted", name)
				}
			}()
			_, _ = f.Decide(f.NewEntity(Head{TenantID: "acme", Subject: "a"}), e, p)
		}()
	}
}
