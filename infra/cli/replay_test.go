package cli_test

import (
	"strings"
	"testing"
)

func TestReplay(t *testing.T) {
	s := decided(t, signedIn, queued)
	const same = "2 events: 0 applied, 2 duplicates, 0 in conflict.\n"
	if status, out := run(t, "replay", "--from", "audit"); status != 0 || out != same {
		t.Errorf("status %d: %s", status, out)
	}
	const shadow = `2 events: 2 applied, 0 duplicates, 0 in conflict.
The shadow is what the live audit log gives: 2 entities with 2 decisions.
`
	if status, out := run(t, "replay", "--from", "audit", "--into", "shadow"); status != 0 || out != shadow {
		t.Errorf("status %d: %s", status, out)
	}
	if _, err := s.pool.Exec(t.Context(), `UPDATE millrace.seen SET digest = sha256('') WHERE function = 'agent'`); err != nil {
		t.Fatal(err)
	}
	status, out := run(t, "replay", "--from", "audit", "--dry-run", "--json")
	if status != 1 || !strings.Contains(out, `"conflict without a dead letter: tenant acme, source /desk, id A1`) {
		t.Errorf("status %d: %s", status, out)
	}
	if status, out := run(t, "replay"); status != 1 || !strings.Contains(out, "KAFKA_BROKERS is not set") {
		t.Errorf("status %d: %s", status, out)
	}
}

func TestReplayUsage(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		`there is no function "weather"`:   {"--function", "weather"},
		"want kafka or audit":              {"--from", "nowhere"},
		"want live or shadow":              {"--into", "nowhere"},
		"need a --function":                {"--offsets", "0:1-2"},
		"are for --from kafka":             {"--from", "audit", "--since", "1h"},
		"--after is for":                   {"--function", "trade", "--after", "acme/a@1"},
		"write tenant/subject@version":     {"--function", "trade", "--from", "audit", "--after", "acme"},
		`"0:x-" is no part of a partition`: {"--function", "trade", "--offsets", "0:x-"},
		"--rate must be 0 or more":         {"--rate", "-1"},
		"(try: millrace replay --help)":    {"trade"},
	} {
		if status, out := run(t, append([]string{"replay"}, args...)...); status != 2 || !strings.Contains(out, want) {
			t.Errorf("%v: status %d: %s", args, status, out)
		}
	}
}
