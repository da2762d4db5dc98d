package skiptest_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/millrace/millrace/infra/skiptest"
)

// recorder is a test that is asked what became of it.
type recorder struct {
	testing.TB

	said string
}

func (r *recorder) Helper()      {}
func (r *recorder) Name() string { return "TestOfSomething" }

func (r *recorder) Skip(args ...any) { r.end("skipped: ", args) }

func (r *recorder) Fatal(args ...any) { r.end("failed: ", args) }

func (r *recorder) end(how string, args []any) {
	for _, a := range args {
		if text, ok := a.(string); ok {
			how += text
		}
	}
	r.said = how
	runtime.Goexit()
}

// outcome is what becomes of a test.
func outcome(t *testing.T, call func(testing.TB, string), why string) string {
	t.Helper()
	r := &recorder{TB: t}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		call(r, why)
	}()
	<-ended
	return r.said
}

func TestOutsideOfCI(t *testing.T) {
	file := filepath.Join(t.TempDir(), "skipped")
	t.Setenv("MILLRACE_SKIPPED", file)
	noRedis := "no Redis for " + file // another one when the test runs again
	for _, ci := range []string{"", "false"} {
		t.Setenv("CI", ci)
		if got := outcome(t, skiptest.Missing, "no tool"); got != "skipped: NOT TESTED: no tool" {
			t.Errorf("CI=%q: %q", ci, got)
		}
		if got := outcome(t, skiptest.Without, noRedis); got != "" {
			t.Errorf("CI=%q: %q", ci, got)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	skipped, less := "NOT TESTED: TestOfSomething: no tool\n", "TESTED WITH LESS: "+noRedis+"\n"
	if got := string(text); got != skipped+less+skipped { // the second once
		t.Errorf("told:\n%s", got)
	}
}

func TestInCI(t *testing.T) {
	t.Setenv("CI", "true")
	for name, call := range map[string]func(testing.TB, string){"Missing": skiptest.Missing, "Without": skiptest.Without} {
		if got := outcome(t, call, "no tool"); !strings.HasPrefix(got, "failed: ") || !strings.HasSuffix(got, "no tool") {
			t.Errorf("%s: %q", name, got)
		}
	}
}
