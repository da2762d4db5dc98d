package agent

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function/functiontest"
)

const subject = "agent-7"

func told(what, id, data string) *event.Event {
	return functiontest.Event("agent."+what+".v1", subject, "/desktop", id, data)
}

// TestShift follows an agent through a day.
func TestShift(t *testing.T) {
	t.Parallel()
	fold := functiontest.NewFold(New(), subject)
	for n, step := range []struct{ what, data, want string }{
		{"skills-changed", `{"skills":["billing"]}`,
			`{"status":"signed-out","since":"2025-03-14T09:26:53Z","session":0,"skills":["billing"],"version":1}`},
		{"signed-in", `{"name":"Ada","features":{"b":true,"a":false}}`,
			`{"name":"Ada","status":"available","since":"2025-03-14T09:27:53Z","session":1,"skills":["billing"],"features":{"a":false,"b":true},"version":2}`},
		{"status-changed", `{"status":"break"}`,
			`{"name":"Ada","status":"break","since":"2025-03-14T09:28:53Z","session":1,"skills":["billing"],"features":{"a":false,"b":true},"version":3}`},
		// Only the reason is new.
		{"status-changed", `{"status":"break","reason":"lunch"}`,
			`{"name":"Ada","status":"break","reason":"lunch","since":"2025-03-14T09:28:53Z","session":1,"skills":["billing"],"features":{"a":false,"b":true},"version":4}`},
		{"skills-changed", `{"skills":[]}`,
			`{"name":"Ada","status":"break","reason":"lunch","since":"2025-03-14T09:28:53Z","session":1,"features":{"a":false,"b":true},"version":5}`},
		{"status-changed", `{"status":"available"}`,
			`{"name":"Ada","status":"available","since":"2025-03-14T09:31:53Z","session":1,"features":{"a":false,"b":true},"version":6}`},
		// The desktop crashed: another session, and available since now.
		{"signed-in", `{"skills":["fr","de"],"features":{}}`,
			`{"name":"Ada","status":"available","since":"2025-03-14T09:32:53Z","session":2,"skills":["fr","de"],"version":7}`},
		{"signed-out", `{"reason":"end of shift"}`,
			`{"name":"Ada","status":"signed-out","reason":"end of shift","since":"2025-03-14T09:33:53Z","session":2,"skills":["fr","de"],"version":8}`},
	} {
		e := told(step.what, fmt.Sprint(n), step.data)
		e.Time = e.Time.Add(time.Duration(n) * time.Minute)
		fold.Apply(t, e)
		if got := fold.State(t); got != step.want {
			t.Errorf("%s %s makes\n%s\nwant\n%s", step.what, step.data, got, step.want)
		}
	}
}

// TestSignedOut: before the first session and after the last there is no status
// to change, and nothing to sign out of.
func TestSignedOut(t *testing.T) {
	t.Parallel()
	fold := functiontest.NewFold(New(), subject)
	refused := func(when string) {
		t.Helper()
		before := fold.State(t)
		for n, e := range []*event.Event{
			told("status-changed", when+"1", `{"status":"busy"}`), told("signed-out", when+"2", `{}`),
		} {
			if _, refusal := fold.Decide(t, e); refusal != "agent-signed-out" {
				t.Errorf("%s, %d: refused with %q", when, n, refusal)
			}
		}
		if after := fold.State(t); after != before {
			t.Errorf("a refusal changed the state from %s to %s", before, after)
		}
	}
	refused("new")
	fold.Apply(t, told("skills-changed", "1", `{"skills":["fr"]}`))
	refused("planned")
	fold.Apply(t, told("signed-in", "2", `{}`))
	fold.Apply(t, told("signed-out", "3", `{}`))
	refused("gone")
}

// history draws shifts, with whatever desktops tell at the wrong time.
func history(t *rapid.T) []*event.Event {
	skills := rapid.SampledFrom([]string{`[]`, `["fr"]`, `["b, c","{\"a\"}"," '"]`, `null`})
	features := rapid.SampledFrom([]string{`{}`, `{"x":true}`, `{"'\"":false,"é":true,"c":null}`, `null`})
	events := make([]*event.Event, rapid.IntRange(1, 20).Draw(t, "events"))
	for i := range events {
		id := fmt.Sprint(i)
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			events[i] = told("skills-changed", id, `{"skills":["a",`+fmt.Sprintf("%q", id)+`]}`)
		case 1:
			events[i] = told("signed-out", id, `{"reason":"R"}`)
		case 2:
			events[i] = told("status-changed", id, fmt.Sprintf(`{"status":%q,"reason":%q}`,
				rapid.SampledFrom([]Status{Available, Busy, WrapUp, Break, OfflineWork}).Draw(t, "status"),
				rapid.SampledFrom([]string{"", "lunch"}).Draw(t, "reason")))
		default:
			events[i] = told("signed-in", id, fmt.Sprintf(`{"name":%q,"skills":%s,"features":%s}`,
				rapid.SampledFrom([]string{"", "Ada", "O'Neil; --"}).Draw(t, "name"),
				skills.Draw(t, "skills"), features.Draw(t, "features")))
		}
		events[i].Time = functiontest.Time.Add(time.Duration(rapid.IntRange(-1000, 1000).Draw(t, "time")) * time.Microsecond)
	}
	return events
}

func TestRulesAreDeterministic(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		one, two := functiontest.NewFold(New(), subject), functiontest.NewFold(New(), subject)
		for _, e := range history(t) {
			_, a := one.Decide(t, e)
			_, b := two.Decide(t, e)
			if a != b {
				t.Fatalf("%s is refused with %q and %q", e.Data, a, b)
			}
		}
		if one.State(t) != two.State(t) {
			t.Fatalf("the states are %s\nand %s", one.State(t), two.State(t))
		}
	})
}
