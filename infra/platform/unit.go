package platform

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"
)

// Running is a process that was started.
type Running interface {
	// Done is closed when it has ended; Err then says how.
	Done() <-chan struct{}
	Err() error
	PID() int
	// Stop ends it in its own way and waits until it has ended.
	Stop() error
}

// Unit is a process that is started again when it ends by itself.
type Unit struct {
	Name  string
	start func(context.Context) (Running, error)
	note  func(string)
	pause pause

	quit     chan struct{} // closed by Stop
	quitOnce sync.Once
	finished chan struct{} // closed when supervise returns
	stopErr  error         // of the last Running, after finished

	mu      sync.Mutex
	running Running
	starts  int
	ended   chan struct{} // closed when the unit first ends by itself
	once    sync.Once
}

// pause is how long to wait before a restart: it doubles from first to last,
// and starts over once a process has lived for healthy.
type pause struct{ first, last, healthy time.Duration }

// Kubernetes waits 10 s, then doubles up to 5 minutes; who sits before the
// screen would rather see it again sooner.
var defaultPause = pause{first: 200 * time.Millisecond, last: 30 * time.Second, healthy: 10 * time.Second}

// startUnit starts a process and keeps it running until [Unit.Stop].
func startUnit(ctx context.Context, name string, note func(string), p pause, start func(context.Context) (Running, error)) (*Unit, error) {
	running, err := start(ctx)
	if err != nil {
		return nil, err
	}
	u := &Unit{
		Name: name, start: start, note: note, pause: p,
		quit: make(chan struct{}), finished: make(chan struct{}), ended: make(chan struct{}),
		running: running, starts: 1,
	}
	go u.supervise(context.WithoutCancel(ctx))
	return u, nil
}

func (u *Unit) supervise(ctx context.Context) {
	defer close(u.finished)
	wait, since := u.pause.first, time.Now()
	for {
		running := u.current()
		select {
		case <-u.quit:
			u.stopErr = running.Stop()
			return
		case <-running.Done():
		}
		if u.stopped() {
			return
		}
		u.once.Do(func() { close(u.ended) })
		if time.Since(since) > u.pause.healthy {
			wait = u.pause.first
		}
		u.note(fmt.Sprintf("%s ended (%s); starting it again in %s", u.Name, how(running.Err()), wait))
		var ok bool
		if wait, ok = u.restart(ctx, wait); !ok {
			return
		}
		since = time.Now()
	}
}

// restart waits and starts the process again, as often as it takes; it returns
// the pause before the next restart. ok is false if Stop came first.
func (u *Unit) restart(ctx context.Context, wait time.Duration) (next time.Duration, ok bool) {
	for {
		timer := time.NewTimer(wait)
		select {
		case <-u.quit:
			timer.Stop()
			return 0, false
		case <-timer.C:
		}
		wait = min(2*wait, u.pause.last)
		running, err := u.start(ctx)
		if err == nil {
			u.mu.Lock()
			u.running = running
			u.starts++
			u.mu.Unlock()
			return wait, true
		}
		u.note(fmt.Sprintf("%s does not start: %v; trying again in %s", u.Name, err, wait))
	}
}

// how says in words how a process ended.
func how(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

func (u *Unit) current() Running {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.running
}

func (u *Unit) stopped() bool {
	select {
	case <-u.quit:
		return true
	default:
		return false
	}
}

// PID is the process id at the moment; it changes with every restart.
func (u *Unit) PID() int { return u.current().PID() }

// ErrEnded says that a process has ended and was not started again yet.
var ErrEnded = errors.New("the process has ended")

// Signal sends a signal to the process, for tests that do it harm.
func (u *Unit) Signal(sig syscall.Signal) error {
	running := u.current()
	select {
	case <-running.Done():
		return ErrEnded
	default:
		return syscall.Kill(running.PID(), sig)
	}
}

// Starts is how often the process was started, 1 if it never ended.
func (u *Unit) Starts() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.starts
}

// Ended is closed when the process has ended by itself at least once.
func (u *Unit) Ended() <-chan struct{} { return u.ended }

// Stop ends the process for good and waits for it.
func (u *Unit) Stop() error {
	u.quitOnce.Do(func() { close(u.quit) })
	<-u.finished
	if u.stopErr != nil {
		return fmt.Errorf("stopping %s: %w", u.Name, u.stopErr)
	}
	return nil
}

// stopTogether stops units at the same time and waits for all of them.
func stopTogether(units []*Unit) error {
	errs := make([]error, len(units))
	var wg sync.WaitGroup
	for i, u := range units {
		wg.Go(func() { errs[i] = u.Stop() })
	}
	wg.Wait()
	return errors.Join(errs...)
}
