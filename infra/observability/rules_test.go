package observability

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/infra/skiptest"
)

type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func rules(t *testing.T) (all []rule) {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	read(t, "alerts.yaml", &file)
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

func promtool(t *testing.T, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("promtool"); err != nil { // where `task tools` may not install it
		skiptest.Missing(t, "promtool is not installed (Debian: apt-get install prometheus): the alert rules are not tried")
	}
	if out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	promtool(t, "check", "rules", "alerts.yaml")
	promtool(t, "test", "rules", "alerts_test.yaml")
}

// What Grafana sends is PromQL, by the judgement of Prometheus' own parser.
func TestDashboardQueriesAreRead(t *testing.T) {
	t.Parallel()
	type record struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var records []record
	for _, q := range dashboard(t) {
		records = append(records, record{"dashboard", q.expr})
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": records}}})
	if err != nil {
		t.Fatal(err)
	}
	file := t.TempDir() + "/dashboard.yaml"
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}

// Every alert says what to do, and has a test with a moment at which it is
// silent and one at which it fires.
func TestAlertsAreExplainedAndTested(t *testing.T) {
	t.Parallel()
	var file struct {
		Tests []struct {
			Cases []struct {
				Expr string `yaml:"expr"`
				Want []any  `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		} `yaml:"tests"`
	}
	read(t, "alerts_test.yaml", &file)
	silent, fires := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, c := range test.Cases {
			if len(c.Want) == 0 {
				silent[c.Expr] = true
			} else {
				fires[c.Expr] = true
			}
		}
	}
	page, err := os.ReadFile(operations)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules(t) {
		expr := `ALERTS{alertname="` + r.Alert + `",alertstate="firing"}`
		if !silent[expr] || !fires[expr] {
			t.Errorf("alert %s: silent in a test: %v, fires in one: %v", r.Alert, silent[expr], fires[expr])
		}
		if r.Annotations["summary"] == "" || r.Annotations["runbook"] == "" {
			t.Errorf("alert %s has no summary or no runbook", r.Alert)
		}
		if !slices.Contains([]string{"page", "ticket"}, r.Labels["severity"]) {
			t.Errorf("alert %s has the severity %q", r.Alert, r.Labels["severity"])
		}
		if !strings.Contains(string(page), "| `"+r.Alert+"` |") {
			t.Errorf("%s does not tell of alert %s", operations, r.Alert)
		}
	}
}
