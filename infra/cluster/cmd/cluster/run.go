package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/infra/cli/terminal"
	"github.com/millrace/millrace/infra/cluster/machine"
	"github.com/millrace/millrace/infra/cluster/node"
	"github.com/millrace/millrace/infra/cluster/place"
	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/infra/stack/process"
)

// newRun is what `up` starts and leaves running.
func newRun() *cobra.Command {
	return &cobra.Command{Use: "run", Hidden: true, Args: cobra.NoArgs, RunE: func(command *cobra.Command, _ []string) error {
		root, err := platform.FindRoot(".")
		if err != nil {
			return err
		}
		news := &news{out: os.NewFile(progressFile, "progress")}
		ready := func() {
			if err := os.WriteFile(readyFile(), nil, 0o644); err == nil {
				news.tell(readyWord, "")
			}
		}
		return node.Run(command.Context(), place.Place{Root: root}, news, ready)
	}}
}

// progressFile is where `run` tells `up` how far it is.
const progressFile = 3

// Words that a line of progress begins with.
const (
	beginWord = "begin"
	endWord   = "end"
	noteWord  = "note"
	readyWord = "ready"
)

// news sends what is reported to the process that started this one. That one may
// be gone: who is not heard goes on.
type news struct {
	mu  sync.Mutex
	out *os.File
}

func (n *news) tell(word, text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, _ = fmt.Fprintf(n.out, "%s %s\n", word, terminal.Line(text))
}

// Begin implements the stack's Reporter.
func (n *news) Begin(what string) func() {
	n.tell(beginWord, what)
	return func() { n.tell(endWord, what) }
}

// Note implements the stack's Reporter.
func (n *news) Note(line string) { n.tell(noteWord, line) }

// spawn starts `run` in a session of its own, and returns when it is ready.
func spawn(p place.Place, report *terminal.Reporter) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(p.Log("node")), 0o755); err != nil {
		return err
	}
	log, err := os.Create(p.Log("node"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the child has its own handle
	progress, out, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = progress.Close() }()
	command := exec.CommandContext(context.Background(), self, "run") // it lives longer than we do
	command.Dir, command.Stdout, command.Stderr = p.Root, log, log
	command.ExtraFiles = []*os.File{out}
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	keepFilesHere()
	if err := errors.Join(command.Start(), out.Close()); err != nil {
		return err
	}
	if follow(bufio.NewScanner(progress), report) {
		return nil
	}
	text, _ := os.ReadFile(p.Log("node"))
	return fmt.Errorf("the node did not start: %s", strings.TrimSpace(string(text)))
}

// keepFilesHere keeps from what is started the files that whoever started us left
// open: a lock among them would be held for as long as the cluster runs.
func keepFilesHere() {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, entry := range open {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

// follow reports what is told, and whether it came to ready.
func follow(lines *bufio.Scanner, report *terminal.Reporter) bool {
	under := map[string]func(){}
	for lines.Scan() {
		word, text, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case beginWord:
			under[text] = report.Begin(text)
		case endWord:
			if done := under[text]; done != nil {
				done()
			}
		case noteWord:
			report.Note(text)
		case readyWord:
			return true
		}
	}
	return false
}

// remove ends the process that runs the node, and removes what it leaves.
func remove(ctx context.Context, report *terminal.Reporter) error {
	if _, ok := machine.Owner(); !ok {
		return nil
	}
	defer report.Begin("removing the cluster that was here")()
	unlock, err := process.TryLock(node.Lock())
	var held *process.LockedError
	switch {
	case errors.As(err, &held):
		err = process.End(held.PID, syscall.SIGTERM, time.Minute)
	case err == nil:
		unlock()
	}
	if err != nil {
		return err
	}
	return machine.Sweep(context.WithoutCancel(ctx))
}
