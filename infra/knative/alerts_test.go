package knative

import (
	"os"
	"strings"
	"testing"
)

// The rules for Prometheus' operator are those of infra/observability, word for
// word.
func TestAlerts(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../observability/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, groups, _ := strings.Cut(string(text), "groups:\n")
	made(t, "components/prometheus/rules.yaml", `# Made of infra/observability/alerts.yaml:
#   go -C infra/knative test -run TestAlerts -update
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: millrace
spec:
  groups:
`+strings.ReplaceAll("  "+strings.ReplaceAll(strings.TrimSuffix(groups, "\n"), "\n", "\n  "), "  \n", "\n")+"\n")
}

// made holds a file to what it is made of, or with -update makes it.
func made(t *testing.T, file, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != want {
		t.Errorf("%s is not what it is made of: go -C infra/knative test -run %s -update (%v)", file, t.Name(), err)
	}
}
