package functiontest

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
)

// Redactions decides random histories of one entity twice: as they are, and as
// the audit log has them when what is confidential in them was overwritten. All
// decisions must be the same; and if that was done to the redacted events and
// those that refer to them only, then so must the state.
func Redactions(t *testing.T, fn function.Definition, history func(*rapid.T) []*event.Event) {
	t.Helper()
	redactions := 0
	rapid.Check(t, func(t *rapid.T) {
		plain, again := NewFold(fn, "entity"), NewFold(fn, "entity")
		var decisions []string
		redacted := map[function.Name]bool{}
		events := history(t)
		for _, e := range events {
			fx, refusal := plain.Decide(t, e)
			decisions = append(decisions, describe(fx, refusal))
			for _, name := range fx.Redacted {
				redacted[name] = true
				redactions++
			}
		}
		others := rapid.Bool().Draw(t, "mask others too")
		for n, e := range events {
			payload, err := fn.Decode(e)
			if err != nil {
				t.Fatalf("decoding %s %s: %v", e.Type, e.Data, err)
			}
			if function.Concerns(e, payload, redacted) || others && rapid.Bool().Draw(t, "mask") {
				e = function.Masked(e, payload)
			}
			if got := describe(again.Decide(t, e)); got != decisions[n] {
				t.Fatalf("%s %s is decided as\n%s\nwant\n%s", e.Type, e.Data, got, decisions[n])
			}
		}
		if got, want := again.State(t), plain.State(t); !others && got != want {
			t.Fatalf("redacted events make the state\n%s\nwant\n%s", got, want)
		}
	})
	if redactions == 0 {
		t.Error("no event of any history was redacted")
	}
}

// describe says what a decision does beside changing the state.
func describe(fx *function.Effects, refusal string) string {
	return fmt.Sprintf("%s %q %v %v", refusal, Emitted(fx), fx.Deltas, fx.Redacted)
}
