package layout

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/shared/runtime"
)

var quoted = regexp.MustCompile("`([^`]+)`")

// Both tables of reasons name those for which events become dead letters
// undecided, and no others.
func TestReasonsAreExplained(t *testing.T) {
	t.Parallel()
	for page, heading := range map[string]string{
		"../../docs/events.md":     "| reason | what happened |\n| --- | --- |\n",
		"../../docs/operations.md": "| reason | what it means |\n| --- | --- |\n",
	} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		_, table, found := strings.Cut(string(text), heading)
		if !found {
			t.Fatalf("%s has no table of reasons", page)
		}
		var explained []string
		for row := range strings.Lines(table) {
			if !strings.HasPrefix(row, "| ") {
				break
			}
			for _, reason := range quoted.FindAllStringSubmatch(strings.Split(row, "|")[1], -1) {
				explained = append(explained, reason[1])
			}
		}
		for _, reason := range runtime.Reasons() {
			if !slices.Contains(explained, reason) {
				t.Errorf("%s does not explain %s", page, reason)
			}
		}
		for _, reason := range explained {
			if !slices.Contains(runtime.Reasons(), reason) {
				t.Errorf("%s explains %s, which is no reason", page, reason)
			}
		}
	}
}
