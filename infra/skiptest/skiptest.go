// Package skiptest has tests skip what a machine lacks the means for, such as a
// program, loudly; and where CI is set, as every CI does, fail instead: what is
// skipped there nobody notices.
//
// A skip by design, such as that of what takes minutes, is no matter of this
// package.
//
//	MILLRACE_SKIPPED  a file that what was skipped is added to, a line each, since
//	                  go test shows of a package that passes nothing without -v;
//	                  `task test` shows it at the end
package skiptest

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
)

// Missing skips a test, or fails it in CI. why says what is missing and where that
// comes from, and what is not tested, if the name of the test does not.
func Missing(t testing.TB, why string) {
	t.Helper()
	refuse(t, why)
	Loudly(t, why)
}

// Loudly skips a test, in CI too: it is for what no installing brings, such as the
// history of a shallow clone.
func Loudly(t testing.TB, why string) {
	t.Helper()
	tell("NOT TESTED: " + t.Name() + ": " + why)
	t.Skip("NOT TESTED: " + why)
}

// told are the reasons that Without has told in this process.
var told sync.Map

// Without lets a test go on with less than it is meant for, or fails it in CI. A
// reason is told once.
func Without(t testing.TB, why string) {
	t.Helper()
	refuse(t, why)
	if _, known := told.LoadOrStore(why, true); !known {
		tell("TESTED WITH LESS: " + why)
	}
}

func refuse(t testing.TB, why string) {
	t.Helper()
	// Asked only where something is missing: go test remembers results by the
	// variables that a test has asked for.
	if ci := os.Getenv("CI"); ci != "" && ci != "false" {
		t.Fatal("CI is set, where nothing may be left out: " + why)
	}
}

func tell(line string) {
	fmt.Fprintln(os.Stderr, line)
	name := os.Getenv("MILLRACE_SKIPPED")
	if name == "" {
		return
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the task test says which
	if err == nil {
		_, err = fmt.Fprintln(file, line) // in one piece: many processes write
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "noting what was skipped:", err)
	}
}
