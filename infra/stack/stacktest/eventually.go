package stacktest

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/millrace/millrace/infra/skiptest"
)

// Eventually looks again and again until it is so, and fails the test when that
// takes too long.
func Eventually(t testing.TB, within time.Duration, what string, so func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !so(ctx) {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

// Kcat returns the path of kcat. Where there is none the test is skipped: only
// root on Debian can have it installed by `task tools`.
func Kcat(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"kcat", "kafkacat"} { // as distributions call it
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	skiptest.Missing(t, "kcat is not installed (Debian: apt-get install kcat)")
	return ""
}
