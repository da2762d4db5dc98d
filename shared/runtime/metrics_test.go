package runtime

import (
	"fmt"
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
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got string
	for _, family := range families {
		if family.GetName() != "millrace_events_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			got += fmt.Sprintf("%s=%v ", metric.GetLabel()[1].GetValue(), metric.GetCounter().GetValue())
		}
	}
	expect(t, got, "applied=3 dead=1 duplicate=1 parked=2 refused=1 ")
}
