package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Spec says what to start and how.
type Spec struct {
	// Path is the program, Args what follows its name.
	Path string
	Args []string
	// Env is the whole environment; nil means the parent's.
	Env []string
	// Dir is the working directory; empty means the parent's.
	Dir string
	// Output takes stdout and stderr; nil discards them. The child writes to
	// the file itself, so what it says last is kept though the parent died.
	Output *os.File
	// User runs the child as somebody else; only root can. Nil: as the parent.
	User *User
	// DieWith is what the child gets when the parent dies (Linux only).
	// Zero means SIGKILL.
	DieWith syscall.Signal
}

// Process is a running or ended child.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Start starts a child. The caller need not wait for it: it is reaped here.
func Start(spec Spec) (*Process, error) {
	cmd := command(context.Background(), spec)
	if spec.Output != nil {
		cmd.Stdout, cmd.Stderr = spec.Output, spec.Output
	}
	if err := spawn(cmd); err != nil {
		return nil, fmt.Errorf("starting %s: %w", spec.Path, err)
	}
	p := &Process{cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Run runs a program to its end and returns what it printed. The error holds
// the program's output too, as that is where programs say what went wrong.
func Run(ctx context.Context, spec Spec) (string, error) {
	cmd := command(ctx, spec)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := spawn(cmd); err != nil {
		return "", fmt.Errorf("starting %s: %w", spec.Path, err)
	}
	if err := cmd.Wait(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", spec.Path, err, strings.TrimSpace(out.String()))
	}
	return out.String(), nil
}

func command(ctx context.Context, spec Spec) *exec.Cmd {
	cmd := exec.CommandContext(ctx, spec.Path, spec.Args...)
	cmd.Env, cmd.Dir = spec.Env, spec.Dir
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if spec.User != nil {
		cmd.SysProcAttr.Credential = spec.User.credential()
		cmd.Env = append(cmd.Env, "HOME=/", "USER="+spec.User.Name, "LOGNAME="+spec.User.Name)
	}
	dieWith(cmd.SysProcAttr, spec.DieWith)
	return cmd
}

// PID is the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended and is reaped.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the child ended, nil for exit status 0. Only after Done.
func (p *Process) Err() error { return p.err }

// Alive tells whether the child has not ended yet.
func (p *Process) Alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Signal sends a signal to the child; one that has ended is no error.
func (p *Process) Signal(sig syscall.Signal) error {
	err := p.cmd.Process.Signal(sig)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// ErrKilled says that a child did not end within its grace period.
var ErrKilled = errors.New("did not end in time and was killed")

// Stop sends sig, waits at most grace for the end, then kills the child's
// whole group. It returns [ErrKilled] if it came to that; an exit status is
// no error here.
func (p *Process) Stop(sig syscall.Signal, grace time.Duration) error {
	if err := p.Signal(sig); err != nil {
		return err
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		p.Kill()
		return ErrKilled
	}
}

// Kill ends the child and its group at once and waits until it is reaped.
func (p *Process) Kill() {
	if p.Alive() {
		_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
	}
	<-p.done
}
