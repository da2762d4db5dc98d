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
	if status, out := run(t, "replay", "--from", "audit", "--dry-run", "--function", "agent"); status != 1 || strings.Contains(out, "sequence") ||
		!strings.Contains(out, "1 event: 1 new dead letter, 0 unknown, 0 duplicates, 0 in conflict.\n") {
		t.Errorf("status %d: %s", status, out)
	}
	if _, err := s.pool.Exec(t.Context(), `DELETE FROM millrace.audit WHERE function = 'agent'`); err != nil {
		t.Fatal(err)
	}
	if status, out := run(t, "replay", "--from", "audit", "--into", "shadow"); status != 0 || !strings.Contains(out, "1 entity with 1 decision.\n1 entity has gone") {
		t.Errorf("status %d: %s", status, out)
	}
	if _, err := s.pool.Exec(t.Context(), `UPDATE millrace.audit SET outcome = 'refused'`); err != nil {
		t.Fatal(err)
	}
	if status, out := run(t, "replay", "--from", "audit", "--into", "shadow"); status != 1 || !strings.Contains(out, `"is" is the shadow`) {
		t.Errorf("status %d: %s", status, out)
	}
	if status, out := run(t, "replay"); status != 1 || !strings.Contains(out, "KAFKA_BROKERS is not set") {
		t.Errorf("status %d: %s", status, out)
	}
}

// TestReplayFails: what could not begin has no summary.
func TestReplayFails(t *testing.T) {
	s := newSite(t, nil)
	status, out := run(t, "replay", "--dir", s.dir, "--function", "trade", "--offsets", "99")
	if status != 1 || !strings.Contains(out, "has no partition 99") || strings.Contains(out, "event:") || strings.Contains(out, "events:") {
		t.Errorf("status %d: %s", status, out)
	}
}

func TestReplayUsage(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"are of Kafka":                     {"--from", "audit", "--offsets", "0:1-2"},
		"--keep is for":                    {"--keep"},
		"so it makes no shadow":            {"--dry-run", "--into", "shadow"},
		"partition 2 is there twice":       {"--function", "trade", "--offsets", "2:0-3,2:4-5"},
		`"2:5-2" has no offsets`:           {"--function", "trade", "--offsets", "2:5-2"},
		`"2:5-5" has no offsets`:           {"--function", "trade", "--offsets", "2:5-5"},
		`"2:5--3" is no part of`:           {"--function", "trade", "--offsets", "2:5--3"},
		`there is no function "weather"`:   {"--function", "weather"},
		"want kafka or audit":              {"--from", "nowhere"},
		"want live or shadow":              {"--into", "nowhere"},
		"need a --function":                {"--offsets", "0:1-2"},
		"not for --from audit":             {"--from", "audit", "--since", "1h"},
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
