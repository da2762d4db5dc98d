package stacktest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/millrace/millrace/infra/stack/process"
)

// Main runs the tests of a package and stops what they started. A package
// calls it from TestMain; one that does not works too, but leaves its server's
// folder to the next run.
func Main(m *testing.M) {
	code := m.Run()
	if err := stopAll(); err != nil {
		fmt.Fprintln(os.Stderr, "stacktest:", err)
	}
	os.Exit(code)
}

// cleanups are run at the end of the test process, last first.
var cleanups struct {
	sync.Mutex
	list []func() error
}

func atExit(f func() error) {
	cleanups.Lock()
	defer cleanups.Unlock()
	cleanups.list = append(cleanups.list, f)
}

func stopAll() error {
	cleanups.Lock()
	defer cleanups.Unlock()
	var errs []error
	for _, clean := range slices.Backward(cleanups.list) {
		errs = append(errs, clean())
	}
	cleanups.list = nil
	return errors.Join(errs...)
}

const scratchPattern = "millrace-test-"

// scratch is this test process's folder, held by a lock for as long as the
// process lives, so that others can tell it from one left by a crash.
var scratch = sync.OnceValues(func() (string, error) {
	removeLeftovers()
	dir, err := os.MkdirTemp("", scratchPattern)
	if err != nil {
		return "", err
	}
	// PostgreSQL may run as another user, who has to get in.
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	unlock, err := process.TryLock(filepath.Join(dir, "lock"))
	if err != nil {
		return "", err
	}
	atExit(func() error {
		defer unlock()
		return os.RemoveAll(dir)
	})
	return dir, nil
})

// removeLeftovers removes the folders of test processes that have ended.
func removeLeftovers() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), scratchPattern+"*")) // the pattern is well formed
	for _, dir := range dirs {
		lock := filepath.Join(dir, "lock")
		if _, err := os.Stat(lock); err != nil {
			continue // just being made
		}
		unlock, err := process.TryLock(lock)
		if err != nil {
			continue // in use, or another user's
		}
		_ = os.RemoveAll(dir) // what is left the next run removes
		unlock()
	}
}
