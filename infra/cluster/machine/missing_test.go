package machine

import (
	"slices"
	"testing"
)

// On a machine without any program every package is missing, Kafka's too.
func TestAllIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	got := missing()
	for _, name := range []string{"containerd", "default-jre-headless", "maven", "redis-server"} {
		if !slices.Contains(got, name) {
			t.Errorf("%s is not among the missing: %v", name, got)
		}
	}
}
