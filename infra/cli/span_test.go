package cli

import (
	"testing"
	"time"
)

func TestSpan(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "2h30m": 150 * time.Minute, "90d": 90 * 24 * time.Hour, "1d12h": 36 * time.Hour, "0s": 0, "32767d": 32767 * 24 * time.Hour,
		"": -1, "d": -1, "-2h": -1, "-2d": -1, "1d-2h": -1, "2": -1, "1.5d": -1, "32768d": -1, "32767d2562047h": -1, "1h2d": -1, "40 d": -1,
	} {
		got, err := parseSpan(text)
		if (err == nil) != (want >= 0) || err == nil && got != want {
			t.Errorf("%q: %v, error %v", text, got, err)
		}
	}
}
