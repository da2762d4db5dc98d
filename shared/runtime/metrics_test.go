package runtime

import (
	"fmt"
	"strings"
	"testing"
)

// TestDrainedEventsAreCounted: an event that was parked is counted once more
// when it is decided.
func TestDrainedEventsAreCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := newMetrics("counter", newAdmission(1, 100))
	w.observe = m.observe
	w.process(t, add("c", "x", 3, 1), add("b", "x", 2, 1))
	w.process(t, add("a", "x", 1, 1), add("a", "x", 1, 1), add("z", "x", 1, 1))
	w.process(t, add("r", "x", 0, -1))
	expect(t, m.text(t, "millrace_events_total"), "applied=3 dead=1 duplicate=1 parked=2 refused=1 ")
	for _, want := range []string{"sequence-reused=1 ", "identity-conflict=0 "} {
		if got := m.text(t, "millrace_dead_letters_total"); !strings.Contains(got, want) {
			t.Errorf("%q is not in %s", want, got)
		}
	}
}

// text returns a counter's values by their label beside the function.
func (m *metrics) text(t *testing.T, name string) (text string) {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() != "function" {
					text += fmt.Sprintf("%s=%v ", label.GetValue(), metric.GetCounter().GetValue())
				}
			}
		}
	}
	return text
}
