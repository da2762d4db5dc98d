package layout

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const guarantees = "../../docs/guarantees.md"

var namedTest = regexp.MustCompile("`([a-z0-9/]+) ((?:Test|Fuzz)\\w+)`")

// Each fault in docs/guarantees.md names tests that exist, and each test of faults
// is named there.
func TestGuaranteesAreShown(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(guarantees)
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "| shown by |\n")
	if !found {
		t.Fatal("the table of faults is not found")
	}
	known, named := map[string]map[string]bool{}, map[string]bool{}
	for row := range strings.Lines(table) {
		tests := namedTest.FindAllStringSubmatch(row, -1)
		if strings.HasPrefix(row, "| ") && !strings.HasPrefix(row, "| ---") && len(tests) == 0 {
			t.Errorf("no test shows this: %s", row)
		}
		for _, test := range tests {
			folder, name := test[1], test[2]
			named[folder+" "+name] = true
			if known[folder] == nil {
				known[folder] = testsIn(t, folder)
			}
			if !known[folder][name] {
				t.Errorf("%s has no %s", folder, name)
			}
		}
	}
	for _, folder := range []string{"infra/faults", "infra/faults/kafka"} {
		for name := range testsIn(t, folder) {
			if !named[folder+" "+name] {
				t.Errorf("%s does not name %s %s", guarantees, folder, name)
			}
		}
	}
}

var testFunction = regexp.MustCompile(`(?m)^func (Test\w+\(t \*testing\.T\)|Fuzz\w+\(f \*testing\.F\))`)

func testsIn(t *testing.T, folder string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range testFunction.FindAllStringSubmatch(string(text), -1) {
			name, _, _ := strings.Cut(match[1], "(")
			tests[name] = true
		}
	}
	return tests
}
