package process_test

import (
	"strconv"
	"testing"

	"github.com/millrace/millrace/infra/stack/process"
)

// Only Linux signals the children of a killed parent.
func TestChildDiesWithAKilledParent(t *testing.T) {
	t.Parallel()
	parent, line := role(t, "parent")
	child, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(line)
	}
	if !process.Running(child) {
		t.Fatal("the child does not run")
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the child to end", func() bool { return !process.Running(child) })
}
