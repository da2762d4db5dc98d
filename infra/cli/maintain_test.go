package cli_test

import (
	"strings"
	"testing"
	"time"
)

func TestMaintain(t *testing.T) {
	s := decided(t, signedIn, queued)
	_, dry := run(t, "maintain", "--dry-run")
	status, out := run(t, "maintain")
	thisMonth := time.Now().UTC().Format("2006-01")
	if status != 0 || !strings.HasPrefix(out, "audit         moved 2 rows of 2026-11\naudit         made ") || !strings.Contains(out, "trades        made ") || !strings.Contains(out, thisMonth) {
		t.Errorf("status %d: %s", status, out)
	}
	would := strings.NewReplacer("  moved ", "  would move ", "  made ", "  would make ").Replace(out)
	if dry != would+"Nothing was done: this was a dry run.\n" {
		t.Errorf("a dry run says\n%s\nand what is done then is\n%s", dry, would)
	}
	if status, out := run(t, "maintain"); status != 0 || out != "Nothing to do.\n" {
		t.Errorf("again: status %d: %s", status, out)
	}
	if _, err := s.pool.Exec(t.Context(), `UPDATE millrace.seen SET decided_at = decided_at - interval '40 days'`); err != nil {
		t.Fatal(err)
	}
	if status, out := run(t, "maintain", "--seen-after", "60d"); status != 0 || out != "Nothing to do.\n" {
		t.Errorf("before the horizon: status %d: %s", status, out)
	}
	if status, out := run(t, "maintain"); status != 0 || !strings.HasPrefix(out, "seen          deleted 2 rows: identities decided before ") {
		t.Errorf("after the horizon: status %d: %s", status, out)
	}
	if status, out := run(t, "maintain", "--detach-after", "audit=84"); status != 1 || !strings.Contains(out, "months of audit are not taken out") {
		t.Errorf("audit: status %d: %s", status, out)
	}
	if status, out := run(t, "maintain", "--seen-after", "34d"); status != 2 || !strings.Contains(out, "producers are promised 35 days") {
		t.Errorf("too early: status %d: %s", status, out)
	}
	if status, out := run(t, "maintain", "--seen-after", "34h"); status != 2 || !strings.Contains(out, "is no number of days, such as 35d") {
		t.Errorf("no days: status %d: %s", status, out)
	}
}
