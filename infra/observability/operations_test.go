package observability

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

const operations = "../../docs/operations.md"

var update = flag.Bool("update", false, "rewrite the tables of metrics in docs/operations.md")

// The tables of metrics in the documentation are made of what the processes
// tell, so that they can neither lack one nor explain one that is gone.
func TestMetricsAreExplained(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(operations)
	if err != nil {
		t.Fatal(err)
	}
	text := string(doc)
	for process, families := range theProcesses(t) {
		begin, end := fmt.Sprintf("<!-- metrics of the %s -->\n", process), fmt.Sprintf("<!-- end of the %s -->", process)
		head, rest, ok := strings.Cut(text, begin)
		old, tail, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s has no place for the metrics of the %s", operations, process)
		}
		if want := table(families); old != want && !*update {
			t.Errorf("the metrics of the %s in %s are not those it tells: go test ./infra/observability -update", process, operations)
		}
		text = head + begin + table(families) + end + tail
	}
	if *update {
		if err := os.WriteFile(operations, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func table(families told) string {
	var rows strings.Builder
	rows.WriteString("| metric | labels | |\n| --- | --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(families)) {
		if strings.HasPrefix(name, "millrace_") {
			f := families[name]
			kind := strings.ToLower(f.GetType().String())
			fmt.Fprintf(&rows, "| `%s` | %s | %s (%s) |\n", name, labelsOf(f), strings.TrimSuffix(f.GetHelp(), "."), kind)
		}
	}
	return rows.String()
}

func labelsOf(f *dto.MetricFamily) string {
	var labels []string
	for _, pair := range f.GetMetric()[0].GetLabel() {
		labels = append(labels, "`"+pair.GetName()+"`")
	}
	return strings.Join(labels, ", ")
}
