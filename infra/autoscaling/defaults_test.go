package autoscaling

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The model has the same defaults as the processes; docs/servers.md is made of
// their configuration.
func TestModelHasTheDefaultsOfTheProcesses(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/servers.md")
	if err != nil {
		t.Fatal(err)
	}
	m := Measured()
	for name, value := range map[string]int{"SHARDS": m.Shards, "MAX_BATCH": m.MaxBatch, "BATCH_MAX_EVENTS": m.BatchEvents,
		"MAX_IN_FLIGHT": m.InFlight, "WINDOW_EVENTS": m.WindowEvents} {
		if row := fmt.Sprintf("| `%s` | `%d` |", name, value); !strings.Contains(string(text), row) {
			t.Errorf("docs/servers.md has no row %q", row)
		}
	}
}

// The page gives a reason for each annotation; one that changes needs another.
func TestPageHasTheManifestsValues(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/autoscaling.md")
	if err != nil {
		t.Fatal(err)
	}
	annotations := manifest(t).Annotations
	if len(annotations) == 0 {
		t.Fatal("no annotations in the manifest")
	}
	for key, value := range annotations {
		if row := fmt.Sprintf("| `%s` | `%s` |", strings.TrimPrefix(key, "autoscaling.knative.dev/"), value); !strings.Contains(string(text), row) {
			t.Errorf("docs/autoscaling.md has no row %q", row)
		}
	}
}
