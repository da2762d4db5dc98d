package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/millrace/millrace/infra/cluster/place"
	"github.com/millrace/millrace/infra/stack/process"
	"github.com/millrace/millrace/shared/fault"
)

// Sweep removes all that a cluster has left, whether it ended well or not, and
// puts the machine back as it was. The one who kept its processes has ended. With
// nothing to do it does nothing.
func Sweep(ctx context.Context) error {
	was, changed, err := remembered()
	if err != nil || !changed {
		return err
	}
	state := filepath.Join(was.Data, "run")
	err = errors.Join(
		endContainers(ctx),
		unmount(place.Run, state),
		removeGroups(ctx),
		removeNetwork(ctx),
		was.restore(),
		os.RemoveAll(state),
	)
	if err != nil {
		return fmt.Errorf("cleaning up: %w", err)
	}
	return os.RemoveAll(place.Run)
}

// endContainers ends what outlives the container runtime: its shims, and what runs
// in the pods.
func endContainers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		left := slices.Concat(shims(), inGroups())
		if len(left) == 0 {
			return nil
		}
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by now
		}
		if !fault.Pause(ctx, 50*time.Millisecond) {
			return fmt.Errorf("processes %v do not end", left)
		}
	}
}

func shims() []int {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil
	}
	var all []int
	for _, file := range lines {
		line, _ := os.ReadFile(file)
		if strings.Contains(string(line), "containerd-shim") && strings.Contains(string(line), place.Containerd()) {
			all = appendPID(all, filepath.Base(filepath.Dir(file)))
		}
	}
	return all
}

func inGroups() []int {
	var all []int
	for _, group := range groups() {
		_ = filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.Name() != "cgroup.procs" {
				return nil //nolint:nilerr // a group that is gone holds nobody
			}
			text, _ := os.ReadFile(path) //nolint:gosec // the kernel's files: nobody puts a link there
			for pid := range strings.FieldsSeq(string(text)) {
				all = appendPID(all, pid)
			}
			return nil
		})
	}
	return all
}

func appendPID(all []int, text string) []int {
	pid, err := strconv.Atoi(text)
	if err != nil || pid <= 1 || !process.Running(pid) {
		return all
	}
	return append(all, pid)
}

// unmount takes away what is mounted below the folders, the last first.
func unmount(folders ...string) error {
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	slices.Reverse(lines)
	var errs []error
	for _, line := range lines {
		at := strings.ReplaceAll(strings.Fields(line)[1], `\040`, " ")
		for _, folder := range folders {
			if strings.HasPrefix(at, folder+"/") {
				errs = append(errs, syscall.Unmount(at, syscall.MNT_DETACH))
			}
		}
	}
	return errors.Join(errs...)
}

// removeGroups removes the groups, the innermost first.
func removeGroups(ctx context.Context) error {
	var errs []error
	for _, group := range groups() {
		var all []string
		_ = filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				all = append(all, path)
			}
			return nil
		})
		slices.Reverse(all)
		for _, folder := range all {
			errs = append(errs, removeGroup(ctx, folder))
		}
	}
	return errors.Join(errs...)
}

// removeGroup tries for a while: the kernel lets go of a process some moments after
// it has ended.
func removeGroup(ctx context.Context, folder string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := syscall.Rmdir(folder)
	for errors.Is(err, syscall.EBUSY) && fault.Pause(ctx, 20*time.Millisecond) {
		err = syscall.Rmdir(folder)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
