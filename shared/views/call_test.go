package views

import (
	"strconv"
	"strings"
	"testing"
)

// Calls and pipelines stay within their limits, and nothing is left out.
func TestCut(t *testing.T) {
	t.Parallel()
	var views []View
	for i := range 2*pipelineViews + 1 {
		views = append(views, Hash{Key: Key("t", "h", strconv.Itoa(i)), Version: 1, Fields: map[string]string{"a": "1"}})
	}
	for i := range 3 * callViews {
		views = append(views, Member{Key: Key("t", "m"), Member: strconv.Itoa(i), Version: 1, Present: true})
	}
	large := strings.Repeat("x", MaxBytes-100)
	for i := range 2 * pipelineBytes / MaxBytes {
		views = append(views, Recent{Key: Key("t", "r"), Member: strconv.Itoa(i), Version: 1, Value: large, Keep: 3, Present: true})
	}
	for _, oneKey := range []bool{false, true} {
		plan, err := newPlan(views)
		if err != nil {
			t.Fatal(err)
		}
		sent := 0
		for _, calls := range pipelines(cut(plan, soon(), oneKey)) {
			views, bytes := 0, 0
			for _, c := range calls {
				if c.views > callViews || c.size.bytes > callBytes+MaxBytes {
					t.Fatalf("%d views, %d bytes in a call", c.views, c.size.bytes)
				}
				if oneKey && len(c.parts) > 1 {
					t.Fatal("a call of several keys")
				}
				views += c.views
				bytes += c.size.bytes
			}
			if views > pipelineViews || bytes > pipelineBytes+MaxBytes {
				t.Fatalf("%d views, %d bytes in a pipeline", views, bytes)
			}
			sent += views
		}
		if sent != len(views) {
			t.Fatalf("%d of %d views", sent, len(views))
		}
	}
}

// A command's arguments are counted beforehand: they never have to be moved.
func TestCommandCapacity(t *testing.T) {
	t.Parallel()
	plan, err := newPlan(oneOfEach("t"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cut(plan, soon(), false) {
		args := c.command(t.Context(), false).Args()
		if spare := cap(args) - len(args); spare < 0 || spare > 8 {
			t.Errorf("%s: %d arguments in a slice of %d", c.kind.name, len(args), cap(args))
		}
	}
}
