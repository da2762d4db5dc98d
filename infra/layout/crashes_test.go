package layout

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

var (
	arrow     = regexp.MustCompile(`(?m)^//\t(\d)  `)
	crashTest = regexp.MustCompile(`\bTest\w+`)
)

// Each arrow of the table in triggers/doc.go names tests that make a crash there
// happen, and each test of an arrow is named there.
func TestArrowsAreShown(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../triggers/doc.go")
	if err != nil {
		t.Fatal(err)
	}
	table, _, found := strings.Cut(string(text), "// A process that only stands still")
	if !found {
		t.Fatal("the end of the table is not found")
	}
	onKafka, onStores := testsIn(t, "infra/faults/kafka"), testsIn(t, "infra/faults")
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
	for _, name := range crashTest.FindAllString(table, -1) {
		if !onKafka[name] && !onStores[name] {
			t.Errorf("there is no %s", name)
		}
	}
	for name := range onKafka {
		if strings.HasPrefix(name, "TestArrow") && !strings.Contains(table, name) {
			t.Errorf("%s is not in the table", name)
		}
	}
}
