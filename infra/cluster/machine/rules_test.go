package machine

import "testing"

func TestOnlyOurRulesGo(t *testing.T) {
	t.Parallel()
	const saved = `*filter
:INPUT ACCEPT [10:20]
:KUBE-FIREWALL - [0:0]
:DOCKER - [0:0]
[0:0] -A FORWARD -i millrace0 -j ACCEPT
[5:9] -A FORWARD -o docker0 -j DOCKER
[1:2] -A INPUT -j KUBE-FIREWALL
COMMIT
`
	const want = `*filter
:INPUT ACCEPT [10:20]
:DOCKER - [0:0]
[5:9] -A FORWARD -o docker0 -j DOCKER
COMMIT
`
	kept, changed := withoutOurs(saved)
	if kept != want || !changed {
		t.Errorf("changed %v, kept\n%s", changed, kept)
	}
	if again, changed := withoutOurs(kept); again != want || changed {
		t.Errorf("a second time: changed %v, kept\n%s", changed, again)
	}
}
