package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// span is a flag's length of time, which may have days: 30s, 2h30m, 90d, 1d12h.
type span time.Duration

// spanVar adds such a flag, with what d has as its default.
func spanVar(c *cobra.Command, d *time.Duration, name, usage string) {
	c.Flags().Var((*span)(d), name, usage)
}

// Set implements [github.com/spf13/pflag.Value].
func (s *span) Set(text string) error {
	d, err := parseSpan(text)
	if err != nil {
		return err
	}
	*s = span(d)
	return nil
}

// String implements [fmt.Stringer].
func (s *span) String() string { return time.Duration(*s).String() }

// Type is what the help of a flag shows.
func (*span) Type() string { return "duration" }

func parseSpan(text string) (time.Duration, error) {
	days, rest, has := strings.Cut(text, "d")
	if !has {
		days, rest = "0", text
	}
	n, errDays := strconv.ParseUint(days, 10, 15)
	var d time.Duration
	var errRest error
	if !has || rest != "" {
		d, errRest = time.ParseDuration(rest)
	}
	sum := time.Duration(n)*24*time.Hour + d
	if errDays != nil || errRest != nil || d < 0 || sum < d {
		return 0, fmt.Errorf("%q is no length of time, such as 30s, 2h30m or 90d", text)
	}
	return sum, nil
}

// parseSince reads a time, or how long ago it was.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := parseSpan(text); err == nil && ago > 0 {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return at, fmt.Errorf("%q is neither how long ago, such as 24h or 90d, nor a time such as 2026-11-24T09:00:00Z", text)
	}
	return at, nil
}
