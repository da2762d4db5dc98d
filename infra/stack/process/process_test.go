package process_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/infra/skiptest"
	"github.com/millrace/millrace/infra/stack/process"
)

// TestMain lets the test binary stand in for a parent that starts a child and
// is killed, and for a child that ignores SIGTERM.
func TestMain(m *testing.M) {
	switch os.Getenv("PROCESS_TEST_ROLE") {
	case "parent":
		beParent()
	case "holder":
		beHolder()
	default:
		os.Exit(m.Run())
	}
}

func beParent() {
	child, err := process.Start(process.Spec{Path: "/bin/sleep", Args: []string{"600"}})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(child.PID())
	// Many threads come and go: were the child tied to one of them, it would die early.
	for range 50 {
		go func() { runtime.LockOSThread() }()
	}
	<-child.Done()
	fmt.Println("the child ended before its parent")
}

func beHolder() {
	unlock, err := process.TryLock(os.Getenv("PROCESS_TEST_LOCK"))
	fmt.Println(err)
	defer unlock()
	select {}
}

// role starts this binary in a role and returns the first line that it prints.
func role(t *testing.T, name string, env ...string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, "PROCESS_TEST_ROLE="+name)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return cmd, strings.TrimSpace(line)
}

func TestStopKillsWhatIgnoresTheSignal(t *testing.T) {
	t.Parallel()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(in.Close(), out.Close()) }()
	child, err := process.Start(process.Spec{
		Path: "/bin/sh", Args: []string{"-c", "trap '' TERM; echo deaf; sleep 600 & wait; wait"}, Output: in,
	})
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "deaf\n" {
		t.Fatal(line, err)
	}
	if err := child.Stop(syscall.SIGTERM, 50*time.Millisecond); !errors.Is(err, process.ErrKilled) {
		t.Errorf("error %v", err)
	}
	if child.Alive() {
		t.Error("it lives")
	}
	if err := child.Stop(syscall.SIGTERM, time.Second); err != nil {
		t.Errorf("stopping what has ended: %v", err)
	}
}

func TestRunReportsWhatAProgramSaid(t *testing.T) {
	t.Parallel()
	_, err := process.Run(t.Context(), process.Spec{Path: "/bin/sh", Args: []string{"-c", "echo no such thing >&2; exit 3"}})
	if err == nil || !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("error %v", err)
	}
}

func TestLockIsExclusiveAndEndsWithItsHolder(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "lock")
	holder, line := role(t, "holder", "PROCESS_TEST_LOCK="+file)
	if line != "<nil>" {
		t.Fatal(line)
	}
	var locked *process.LockedError
	if _, err := process.TryLock(file); !errors.As(err, &locked) || locked.PID != holder.Process.Pid {
		t.Fatalf("error %v does not name process %d", err, holder.Process.Pid)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	unlock, err := process.Lock(file)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestReclaimEndsOnlyWhatItKnows(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "child.pid")
	child, err := process.Start(process.Spec{Path: "/bin/sleep", Args: []string{"601"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(child.Kill)
	if err := process.Claim(file, child.PID()); err != nil {
		t.Fatal(err)
	}
	if ended, err := process.Reclaim(file, "another program"); ended || err != nil || !child.Alive() {
		t.Fatalf("ended %v, error %v", ended, err)
	}
	if err := process.Claim(file, child.PID()); err != nil {
		t.Fatal(err)
	}
	if ended, err := process.Reclaim(file, "sleep 601"); !ended || err != nil {
		t.Fatalf("ended %v, error %v", ended, err)
	}
	if ended, err := process.Reclaim(file, "sleep 601"); ended || err != nil {
		t.Errorf("without a pid file: ended %v, error %v", ended, err)
	}
}

func TestParentAndCommandLineOfAnotherProcess(t *testing.T) {
	t.Parallel()
	child, err := process.Start(process.Spec{Path: "/bin/sleep", Args: []string{"602"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(child.Kill)
	if line := process.CommandLine(child.PID()); !strings.Contains(line, "sleep 602") {
		t.Errorf("command line %q", line)
	}
	// Parent asks ps, which minimal systems lack; it answers 0 there.
	if _, err := exec.LookPath("ps"); err != nil {
		skiptest.Missing(t, "ps is not installed (Debian: apt-get install procps)")
	}
	if parent := process.Parent(child.PID()); parent != os.Getpid() {
		t.Errorf("parent %d, want %d", parent, os.Getpid())
	}
}

func TestRootRunsChildrenAsSomebodyElse(t *testing.T) {
	t.Parallel()
	user, err := process.Unprivileged()
	if err != nil {
		t.Fatal(err)
	}
	if user == nil {
		skiptest.Missing(t, "only root can run a child as somebody else")
	}
	out, err := process.Run(t.Context(), process.Spec{Path: "/bin/sh", Args: []string{"-c", "id -u; echo $HOME"}, User: user, Dir: "/"})
	if err != nil || out != fmt.Sprintf("%d\n/\n", user.UID) {
		t.Errorf("%q, error %v", out, err)
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}
