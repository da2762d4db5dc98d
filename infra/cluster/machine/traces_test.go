package machine

import (
	"os"
	"slices"
	"testing"

	"github.com/millrace/millrace/infra/cluster/place"
	"github.com/millrace/millrace/infra/skiptest"
)

func TestTracesThatAreLeft(t *testing.T) {
	t.Parallel()
	before := Traces{"link eth0": "", "link lo": "", "setting vm/panic_on_oom": "0", "process a": "", "rule r": "1"}
	for name, c := range map[string]struct {
		now  Traces
		want []string
	}{
		"as it was": {before, nil},
		"with a module, and without a process": {
			Traces{"link eth0": "", "link lo": "", "setting vm/panic_on_oom": "0", "setting net/bridge/x": "1", "rule r": "1"}, nil,
		},
		"all that can be": {
			Traces{"link lo": "", "link millrace0": "", "setting vm/panic_on_oom": "1", "process a": "", "process b": "", "rule r": "2"},
			[]string{
				`changed: rule r is "2", and was "1"`, `changed: setting vm/panic_on_oom is "1", and was "0"`,
				"gone: link eth0", "left: link millrace0", "left: process b",
			},
		},
	} {
		if got := c.now.Since(before); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestRulesAreTraces(t *testing.T) {
	t.Parallel()
	const saved = `# Generated
*filter
:FORWARD DROP [10:20]
:INPUT ACCEPT [10:20]
:KUBE-FIREWALL - [0:0]
-A FORWARD -i millrace0 -j ACCEPT
-A FORWARD -i millrace0 -j ACCEPT
COMMIT
`
	got := rules("iptables", saved)
	want := Traces{
		"chain FORWARD DROP in iptables filter": "1", "chain KUBE-FIREWALL - in iptables filter": "1",
		"rule -A FORWARD -i millrace0 -j ACCEPT in iptables filter": "2",
	}
	if left := append(got.Since(want), want.Since(got)...); len(left) > 0 {
		t.Errorf("%q", left)
	}
}

// What nobody has changed is the same when it is looked at again.
func TestLookTwice(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/sys/kernel"); err != nil {
		skiptest.Loudly(t, "there is no /proc/sys: what a cluster leaves behind is looked for on Linux only")
	}
	p := place.Place{Root: t.TempDir()}
	before, err := Look(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if len(before) < 100 {
		t.Errorf("only %d traces", len(before))
	}
	if err := os.MkdirAll(p.State(), 0o755); err != nil {
		t.Fatal(err)
	}
	after, err := Look(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if left := after.Since(before); !slices.Contains(left, "left: folder "+p.State()) {
		t.Errorf("a folder that was made is not seen: %q", left)
	}
}
