package cli

import (
	"testing"
	"time"

	"github.com/millrace/millrace/infra/cli/status"
	"github.com/millrace/millrace/infra/replay"
)

// The values of flags and arguments are read or refused; what was read is within
// bounds, and what has a text of its own is read from it again.
func FuzzValues(f *testing.F) {
	for _, text := range []string{
		"0:100-200,1:50-,2", "5-7", "90d2h", "2h30m", "2026-11-24T09:00:00Z", "10x30s/5m", "acme/trade/a/b@7", "-1",
	} {
		f.Add(text)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		parts, err := parseOffsets(text)
		for partition, r := range parts {
			if err == nil && (partition < 0 || r.From < 0 || r.To >= 0 && r.To <= r.From) {
				t.Errorf("%q is partition %d, %+v", text, partition, r)
			}
		}
		if r, err := parseRange(text); err == nil && (r.From < 1 || r.To < r.From) {
			t.Errorf("%q is %+v", text, r)
		}
		if d, err := parseSpan(text); err == nil && d < 0 {
			t.Errorf("%q is %v", text, d)
		}
		if at, err := parseSince(text, now); err == nil && text != "" && at.IsZero() && text[0] != '0' {
			t.Errorf("%q is no time, and taken for all", text)
		}
		_, _ = parseSpike(text) // its values are held to bounds with the other settings
		if n, err := status.ParseEntityName(text); err == nil && n.String() != text {
			t.Errorf("%q is %v", text, n)
		}
		d, err := replay.ParseDecision(text)
		if err != nil {
			return
		}
		if again, err := replay.ParseDecision(d.String()); err != nil || again != d {
			t.Errorf("%q is %v, and read again %v, %v", text, d, again, err)
		}
	})
}
