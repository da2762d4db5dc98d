package machine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// UnableError says why no cluster can run on this machine, whatever is installed.
type UnableError struct{ Why string }

func (e *UnableError) Error() string {
	return e.Why + " (docs/cluster.md tells how to use another cluster)"
}

// mayTry tells whether it is worth installing anything.
func mayTry() error {
	if runtime.GOOS != "linux" {
		return &UnableError{"the test cluster needs Linux, and this is " + runtime.GOOS}
	}
	if runtime.GOARCH != "amd64" {
		return &UnableError{"the test cluster needs amd64, as its images are made for that alone, and this is " + runtime.GOARCH}
	}
	if os.Geteuid() != 0 {
		return &UnableError{"the test cluster needs root: it makes a network, mounts and containers"}
	}
	return nil
}

// able tries what a container without privileges refuses to its root, and undoes it.
func able(ctx context.Context) error {
	for _, c := range []struct {
		what string
		try  func(context.Context) error
	}{
		{"a bridge", tryBridge}, {"rules of the packet filter", tryRules},
		{"a mount", tryMount}, {"a control group", tryGroups},
	} {
		if err := c.try(ctx); err != nil {
			return &UnableError{fmt.Sprintf("this machine does not let us make %s: %v", c.what, err)}
		}
	}
	return nil
}

func tryBridge(ctx context.Context) error {
	const name = "millrace-try"
	_ = run(ctx, "ip", "link", "delete", name) // what a run that was cut off has left
	if err := run(ctx, "ip", "link", "add", name, "type", "bridge"); err != nil {
		return err
	}
	return run(ctx, "ip", "link", "delete", name)
}

func tryRules(ctx context.Context) error {
	const chain = "MILLRACE-TRY"
	nat := func(action string) error { return run(ctx, "iptables", "-t", "nat", action, chain) }
	_ = nat("-X")
	if err := nat("-N"); err != nil {
		return err
	}
	return nat("-X")
}

func tryMount(context.Context) error {
	dir, err := os.MkdirTemp("", "millrace-try-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(dir) }() // it is empty
	if err := syscall.Mount("none", dir, "tmpfs", 0, ""); err != nil {
		return err
	}
	return syscall.Unmount(dir, 0)
}

func tryGroups(context.Context) error {
	for _, group := range groups() {
		try := filepath.Join(filepath.Dir(group), Group+"-try")
		if err := os.MkdirAll(try, 0o755); err != nil {
			return err
		}
		if err := os.Remove(try); err != nil {
			return err
		}
	}
	return nil
}
