package observability

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metricsql"
)

// query is an expression of the dashboard or of a rule, and the labels that are
// shown of what it finds.
type query struct {
	where, expr string
	shown       []string
}

var template = regexp.MustCompile(`{{\s*\$?(?:labels\.)?([a-zA-Z_]+)[^}]*}}`)

// labelsIn returns the labels that a legend or an annotation shows.
func labelsIn(text string) (labels []string) {
	for _, m := range template.FindAllStringSubmatch(text, -1) {
		if m[1] != "value" {
			labels = append(labels, m[1])
		}
	}
	return labels
}

type panel struct {
	Title   string `json:"title"`
	Targets []struct {
		Expr   string `json:"expr"`
		Legend string `json:"legendFormat"`
	} `json:"targets"`
}

// dashboard returns the queries of the dashboard as Grafana would send them.
func dashboard(t *testing.T) (queries []query) {
	t.Helper()
	text, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []panel `json:"panels"`
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("$__rate_interval", "1m", "$function", "trade")
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			queries = append(queries, query{"panel " + p.Title, fill.Replace(target.Expr), labelsIn(target.Legend)})
		}
	}
	if len(queries) < 30 {
		t.Fatalf("the dashboard has %d queries: are they read right?", len(queries))
	}
	return queries
}

// Every metric, label and label value that a query uses is one that the
// processes tell.
func TestQueriesUseWhatThereIs(t *testing.T) {
	t.Parallel()
	metrics := metricsOf(theProcesses(t), rules(t))
	queries := dashboard(t)
	for _, r := range rules(t) {
		q := query{"alert " + r.Alert, r.Expr, nil}
		for _, text := range r.Annotations {
			q.shown = append(q.shown, labelsIn(text)...)
		}
		queries = append(queries, q)
	}
	for _, q := range queries {
		expr, err := metricsql.Parse(q.expr)
		if err != nil {
			t.Errorf("%s: %v", q.where, err)
			continue
		}
		complain := func(format string, args ...any) { t.Errorf(q.where+": "+format, args...) }
		result := metrics.check(expr, complain)
		for _, label := range q.shown {
			if !slices.Contains(result, label) {
				complain("shows label %q of a result that has %v", label, result)
			}
		}
	}
}

// check looks at all metrics and labels of an expression, and returns the
// labels that its result has.
func (m metrics) check(e metricsql.Expr, complain func(string, ...any)) []string {
	switch e := e.(type) {
	case *metricsql.MetricExpr:
		return m.checkSelector(e, complain)
	case *metricsql.RollupExpr:
		return m.check(e.Expr, complain)
	case *metricsql.FuncExpr:
		return slices.DeleteFunc(m.checkAll(e.Args, complain), func(l string) bool { return l == "le" && e.Name == "histogram_quantile" })
	case *metricsql.AggrFuncExpr:
		labels := m.checkAll(e.Args, complain)
		for _, by := range e.Modifier.Args {
			if !slices.Contains(labels, by) {
				complain("groups by %q what has %v", by, labels)
			}
		}
		return e.Modifier.Args
	case *metricsql.BinaryOpExpr:
		return m.checkAll([]metricsql.Expr{e.Left, e.Right}, complain)
	}
	return nil
}

func (m metrics) checkAll(all []metricsql.Expr, complain func(string, ...any)) (labels []string) {
	for _, e := range all {
		labels = append(labels, m.check(e, complain)...)
	}
	return labels
}

func (m metrics) checkSelector(e *metricsql.MetricExpr, complain func(string, ...any)) []string {
	filters := e.LabelFilterss[0] // alternatives are an extension of MetricsQL
	name := filters[0].Value
	known := m[name]
	if known == nil {
		complain("there is no metric %s", name)
		return nil
	}
	for _, f := range filters[1:] {
		values := []string{f.Value}
		if f.IsRegexp {
			values = strings.Split(f.Value, "|")
		}
		for _, v := range values {
			if !known.has(f.Label, v) {
				complain("%s has no %s=%q", name, f.Label, v)
			}
		}
	}
	return known.labels()
}
