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

// Each promise and each fault in docs/guarantees.md names tests that exist, and each
// test of faults is named there.
func TestGuaranteesAreShown(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(guarantees)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	_, promises, found := strings.Cut(page, "## The promises\n\n")
	_, faults, also := strings.Cut(page, "## Faults, and the tests that make them happen\n\n")
	if !found || !also {
		t.Fatal("the promises or the faults are not found")
	}
	promises, _, _ = strings.Cut(promises, "\n\n")
	_, faults, _ = strings.Cut(faults, "| --- | --- | --- |\n")
	for _, list := range []string{promises, faults} {
		for line := range strings.Lines(list) {
			if !namedTest.MatchString(line) {
				t.Errorf("no test shows this: %s", line)
			}
		}
	}
	known, named := map[string]map[string]bool{}, map[string]bool{}
	for _, test := range namedTest.FindAllStringSubmatch(page, -1) {
		folder, name := test[1], test[2]
		named[folder+" "+name] = true
		if known[folder] == nil {
			known[folder] = testsIn(t, folder)
		}
		if !known[folder][name] {
			t.Errorf("%s has no %s", folder, name)
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
