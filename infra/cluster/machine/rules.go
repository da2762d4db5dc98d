package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/millrace/millrace/infra/cluster/place"
)

// removeNetwork takes the bridge away, with it the pods' ends of it, and every rule
// that kube-proxy and we have made.
func removeNetwork(ctx context.Context) error {
	var errs []error
	if _, err := os.Stat(filepath.Join("/sys/class/net", place.Bridge)); err == nil {
		errs = append(errs, run(ctx, "ip", "link", "delete", place.Bridge))
	}
	for _, family := range []string{"iptables", "ip6tables"} {
		errs = append(errs, removeRules(ctx, family))
	}
	return errors.Join(errs...)
}

// removeRules leaves everyone else's rules as they are, with what they have counted.
func removeRules(ctx context.Context, family string) error {
	saved, err := exec.CommandContext(ctx, family+"-save", "--counters").Output()
	if err != nil {
		return nil //nolint:nilerr // nothing of that family
	}
	kept, changed := withoutOurs(string(saved))
	if !changed {
		return nil
	}
	restore := exec.CommandContext(ctx, family+"-restore", "--counters")
	restore.Stdin = strings.NewReader(kept)
	if out, err := restore.CombinedOutput(); err != nil {
		return fmt.Errorf("%s-restore: %w: %s", family, err, out)
	}
	return nil
}

func withoutOurs(saved string) (kept string, changed bool) {
	var out strings.Builder
	for line := range strings.Lines(saved) {
		if strings.Contains(line, "KUBE-") || strings.Contains(line, " "+place.Bridge+" ") {
			changed = true
			continue
		}
		out.WriteString(line)
	}
	return out.String(), changed
}
