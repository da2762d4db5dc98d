package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/millrace/millrace/infra/cluster/place"
	"github.com/millrace/millrace/infra/stack/process"
)

// Prepare makes the network that pods are on, and what else must be there before
// the first process starts. The machine is as [Sweep] leaves it.
func Prepare(ctx context.Context, p place.Place) error {
	if run(ctx, "iptables", "-t", "nat", "-S", "KUBE-SERVICES") == nil {
		return errors.New("this machine is a node of another Kubernetes: its kube-proxy and the test cluster's would undo each other's rules")
	}
	// A module where it is not built in; without it the next write fails.
	_ = exec.CommandContext(ctx, "modprobe", "-a", "br_netfilter", "overlay").Run()
	if err := remember(p.Data()); err != nil {
		return err
	}
	for _, name := range []string{"net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables"} {
		if err := set(name, "1"); err != nil {
			return err
		}
	}
	if err := makeGroups(); err != nil {
		return err
	}
	return network(ctx)
}

func network(ctx context.Context) error {
	for _, command := range [][]string{
		{"ip", "link", "add", place.Bridge, "type", "bridge"},
		{"ip", "address", "add", place.Node + "/16", "dev", place.Bridge},
		{"ip", "link", "set", place.Bridge, "up"},
		// Where Docker is, its rules let nobody else's packets through.
		{"iptables", "-I", "FORWARD", "-i", place.Bridge, "-j", "ACCEPT"},
		{"iptables", "-I", "FORWARD", "-o", place.Bridge, "-j", "ACCEPT"},
	} {
		if err := run(ctx, command[0], command[1:]...); err != nil {
			return fmt.Errorf("making the pods' network: %w", err)
		}
	}
	return nil
}

func run(ctx context.Context, program string, args ...string) error {
	_, err := process.Run(ctx, process.Spec{Path: program, Args: args})
	return err
}

// Group is the control group that all pods are below.
const Group = "millrace-cluster"

// groups are the folders of Group: one in each hierarchy of version 1, or the one
// of version 2.
func groups() []string {
	const root = "/sys/fs/cgroup"
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err == nil {
		return []string{filepath.Join(root, Group)}
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil
	}
	var all []string
	for _, entry := range entries {
		if entry.IsDir() { // and no link, as cpu to cpu,cpuacct
			all = append(all, filepath.Join(root, entry.Name(), Group))
		}
	}
	return all
}

func makeGroups() error {
	for _, group := range groups() {
		if err := os.MkdirAll(group, 0o755); err != nil {
			return fmt.Errorf("making a control group: %w", err)
		}
	}
	return nil
}
