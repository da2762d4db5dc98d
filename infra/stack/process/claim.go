package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Claim writes a child's pid where a later start finds it by [Reclaim].
func Claim(file string, pid int) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(strconv.Itoa(pid)+"\n"), 0o644)
}

// Reclaim ends what an earlier run left over: the process named in the file,
// if it still runs and its command line contains mark (so that a pid that
// somebody else has by now is left alone). It tells whether it ended one.
func Reclaim(file, mark string) (bool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return false, nil
	}
	defer func() { _ = os.Remove(file) }()
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 1 || !strings.Contains(CommandLine(pid), mark) {
		return false, nil // a torn pid file says nothing about anybody
	}
	return true, End(pid, syscall.SIGTERM, 5*time.Second)
}

// Running tells whether a process of that pid exists, whoever owns it. One
// that has ended and was not reaped (containers often have no init that does)
// does not run.
func Running(pid int) bool {
	err := syscall.Kill(pid, 0)
	if err != nil && !errors.Is(err, syscall.EPERM) {
		return false
	}
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return true
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

// Parent is the parent of any process of this machine, 0 if it is not known.
func Parent(pid int) int {
	parent, err := strconv.Atoi(ps("ppid=", pid))
	if err != nil {
		return 0
	}
	return parent
}

// ps asks for one column of a process; empty if there is no answer.
func ps(column string, pid int) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ps", "-ww", "-o", column, "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// CommandLine is the command line of any process of this machine, empty if
// there is none of that pid.
func CommandLine(pid int) string {
	if line := ps("command=", pid); line != "" {
		return line
	}
	// Small containers have no ps, but they are Linux.
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(strings.ReplaceAll(string(raw), "\x00", " "))
}

// End stops a process that is not a child of this one: sig, then SIGKILL when
// it still runs after grace.
func End(pid int, sig syscall.Signal, grace time.Duration) error {
	for _, try := range []syscall.Signal{sig, syscall.SIGKILL} {
		if err := syscall.Kill(pid, try); errors.Is(err, syscall.ESRCH) {
			return nil
		} else if err != nil {
			return fmt.Errorf("stopping process %d: %w", pid, err)
		}
		if gone(pid, grace) {
			return nil
		}
	}
	return fmt.Errorf("process %d does not end", pid)
}

// gone waits for the end of a process that cannot be waited for.
func gone(pid int, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for Running(pid) {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}
