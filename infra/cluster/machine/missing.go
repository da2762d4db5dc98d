package machine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/stack/process"
)

// plugins is where Debian puts the programs that connect pods to a network.
const plugins = "/usr/lib/cni"

// packages are Debian's, by a program that each brings.
var packages = map[string]string{
	"containerd":             "containerd",
	"runc":                   "runc",
	"etcd":                   "etcd-server",
	"iptables":               "iptables",
	"ip":                     "iproute2",
	"conntrack":              "conntrack",
	plugins + "/bridge":      "containernetworking-plugins",
	"redis-server":           "redis-server",
	"java":                   "default-jre-headless", // Apache Kafka's
	"mvn":                    "maven",                // brings its jars
	"update-ca-certificates": "ca-certificates",
}

// Ready returns nil if the cluster can run here. It installs the packages that are
// missing where that goes without asking. Its error is one line, an [UnableError]
// where the machine is to blame.
func Ready(ctx context.Context, report stack.Reporter) error {
	if err := mayTry(); err != nil {
		return err
	}
	if err := enoughMemory(); err != nil {
		return err
	}
	if missing := missing(); len(missing) > 0 {
		if err := provide(ctx, missing, report); err != nil {
			return err
		}
	}
	return able(ctx)
}

func provide(ctx context.Context, missing []string, report stack.Reporter) error {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("missing, and this is no Debian where they could be installed: %s", strings.Join(missing, ", "))
	}
	return install(ctx, missing, report)
}

func missing() []string {
	var all []string
	for program, name := range packages {
		if _, err := exec.LookPath(program); err != nil {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

func install(ctx context.Context, names []string, report stack.Reporter) error {
	defer report.Begin("installing " + strings.Join(names, ", "))()
	// A service that starts itself would only be in the way.
	env := append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1")
	for _, args := range [][]string{
		{"update", "-qq"},
		append([]string{"install", "-qq", "-y", "--no-install-recommends"}, names...),
	} {
		if _, err := process.Run(ctx, process.Spec{Path: "apt-get", Args: args, Env: env}); err != nil {
			return fmt.Errorf("missing, and apt-get could not install them: %s: %w", strings.Join(names, ", "), err)
		}
	}
	return nil
}
