package soak

import (
	"fmt"
	"strings"
	"testing"

	"github.com/millrace/millrace/infra/invariants"
	"github.com/millrace/millrace/infra/traffic"
)

func TestSameSeedSameFaults(t *testing.T) {
	t.Parallel()
	schedule := func(seed uint64) (text string) {
		f := newFaults(&soak{Config: Config{Every: 100, Traffic: traffic.Settings{Seed: seed}}})
		record := 0
		for range 50 {
			record += f.next()
			k := f.choose()
			f.log = append(f.log, Fault{Record: record, Kind: k.name})
			text += fmt.Sprintln(record, k.name)
		}
		return text
	}
	first := schedule(1)
	if again := schedule(1); again != first {
		t.Error("the same seed gives other faults")
	}
	if schedule(2) == first {
		t.Error("another seed gives the same faults")
	}
}

// A verdict of nothing is none.
func TestHeld(t *testing.T) {
	t.Parallel()
	good := Result{Found: Found{Decided: 1}}
	for what, change := range map[string]func(*Result){
		"nothing was found":   func(r *Result) { r.Found = Found{} },
		"an event is lost":    func(r *Result) { r.Lost = 1 },
		"an event came twice": func(r *Result) { r.Twice = 1 },
	} {
		r := good
		if change(&r); r.Held() {
			t.Errorf("it held although %s", what)
		}
	}
	if !good.Held() {
		t.Error("it did not hold although all is well")
	}
}

// A soak that failed tells how to have it again, what was done to it, and what it
// broke first.
func TestAFailureTellsWhatItTakes(t *testing.T) {
	t.Parallel()
	r := Result{Seed: 2411, Faults: []Fault{{Record: 7, Kind: "kill trade"}}, Found: Found{Decided: 1}, Logs: "/kept/here"}
	if text := r.String(); strings.Contains(text, "2411") {
		t.Errorf("it tells what nobody needs who is content:\n%s", text)
	}
	r.Report.Broken = []invariants.Broken{{Invariant: "I4", What: "entries that do not sum to zero", Count: 1, Rows: []invariants.Row{{Where: "acme/e-1"}}}}
	text := r.String()
	for _, want := range []string{"I4", "acme/e-1", "Seed 2411", r.Faults[0].String(), "/kept/here"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not tell %s:\n%s", want, text)
		}
	}
}
