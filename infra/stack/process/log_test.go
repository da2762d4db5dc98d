package process_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/infra/stack/process"
)

func TestTailIsOfWhatWasLoggedSince(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.log")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const old = "an old error\n"
	first := process.MarkLog(file)
	if got := first.Tail(); got != "it logged nothing ("+file+")" {
		t.Errorf("without a log: %s", got)
	}
	write(old)
	if got := first.Tail(); got != file+" ends with:\nan old error" {
		t.Errorf("%s", got)
	}
	second := process.MarkLog(file)
	for text, want := range map[string]string{
		old:                 "it logged nothing (" + file + ")",
		old + "one\ntwo\n":  file + " ends with:\none\ntwo",
		"new\n":             file + " ends with:\nnew", // the old one was set aside
		old + longLog + "z": file + " ends with:\n" + strings.Repeat("y", 1000) + "\nz",
	} {
		write(text)
		if got := second.Tail(); got != want {
			t.Errorf("%.60q: %s", text, got)
		}
	}
}

var longLog = strings.Repeat("x", 1000) + "\n" + strings.Repeat("y", 1000) + "\n"
