package layout

import (
	"cmp"
	"os"
	"regexp"
	"strings"
	"testing"
)

var (
	arrow     = regexp.MustCompile(`(?m)^//\t(\d)  `)
	crashTest = regexp.MustCompile(`(?:([a-z0-9]+(?:/[a-z0-9]+)+)[\s/]+)?\b(Test\w+)`)
)

// Each arrow of the table in triggers/doc.go, and each paragraph after it, names tests
// that make a crash there happen, and each test of an arrow is named there. A test's
// folder stands before it, or before the one before it.
func TestArrowsAreShown(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../triggers/doc.go")
	if err != nil {
		t.Fatal(err)
	}
	const after = "// A process that only stands still"
	table, rest, found := strings.Cut(string(text), after)
	if !found {
		t.Fatal("the end of the table is not found")
	}
	for paragraph := range strings.SplitSeq(after+rest, "\n//\n") {
		if !crashTest.MatchString(paragraph) {
			t.Errorf("no test shows this:\n%s", paragraph)
		}
	}
	arrows := arrow.FindAllStringIndex(table, -1)
	if len(arrows) != 8 {
		t.Fatalf("%d arrows, want 8", len(arrows))
	}
	for n, at := range arrows {
		end := len(table)
		if n+1 < len(arrows) {
			end = arrows[n+1][0]
		}
		row := table[at[0]:end]
		if !strings.Contains(row, "Crash: ") || !crashTest.MatchString(row) {
			t.Errorf("it does not say what a crash means, or which test shows it:\n%s", row)
		}
	}
	folder := ""
	for _, test := range crashTest.FindAllStringSubmatch(string(text), -1) {
		folder = cmp.Or(test[1], folder)
		if !testsIn(t, folder)[test[2]] {
			t.Errorf("%s has no %s", folder, test[2])
		}
	}
	for name := range testsIn(t, "infra/faults/kafka") {
		if strings.HasPrefix(name, "TestArrow") && !strings.Contains(table, name) {
			t.Errorf("%s is not in the table", name)
		}
	}
}
