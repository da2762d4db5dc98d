package soak

import (
	"fmt"
	"testing"

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
