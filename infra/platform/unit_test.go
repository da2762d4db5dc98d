package platform

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeProcess ends when it is told to.
type fakeProcess struct {
	done    chan struct{}
	err     error
	stopped bool
}

func (f *fakeProcess) Done() <-chan struct{} { return f.done }
func (f *fakeProcess) Err() error            { return f.err }
func (f *fakeProcess) PID() int              { return 1 }

func (f *fakeProcess) Stop() error {
	f.stopped = true
	close(f.done)
	return nil
}

func (f *fakeProcess) end(err error) {
	f.err = err
	close(f.done)
}

// world starts fake processes and keeps what was said.
type world struct {
	mu      sync.Mutex
	started []*fakeProcess
	at      []time.Duration
	news    []string
	refusal error
	began   time.Time
}

func (w *world) start(context.Context) (Running, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refusal != nil {
		return nil, w.refusal
	}
	p := &fakeProcess{done: make(chan struct{})}
	w.started = append(w.started, p)
	w.at = append(w.at, time.Since(w.began))
	return p, nil
}

func (w *world) note(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.news = append(w.news, line)
}

func (w *world) refuse(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refusal = err
}

func (w *world) starts() []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) said() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.news
}

func (w *world) last() *fakeProcess {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.started[len(w.started)-1]
}

// pass lets time pass by the clock of the bubble, which takes none, and what it
// brings about happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func inBubble(t *testing.T, check func(*testing.T, *world, *Unit)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{began: time.Now()}
		u, err := startUnit(t.Context(), "it", w.note,
			pause{first: time.Second, last: 4 * time.Second, healthy: time.Minute}, w.start)
		if err != nil {
			t.Fatal(err)
		}
		check(t, w, u)
		if err := u.Stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestUnitWaitsLongerEachTimeAndForgetsAfterAHealthyLife(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world, u *Unit) {
		t.Helper()
		for range 4 {
			w.last().end(errors.New("exit status 7"))
			pass(5 * time.Second)
		}
		pass(2 * time.Minute)
		w.last().end(nil)
		pass(2 * time.Second)
		// Deaths at 0, 5, 10 and 15 s; pauses of 1, 2, 4, 4, and then 1 s again.
		want := []time.Duration{0, 1 * time.Second, 7 * time.Second, 14 * time.Second, 19 * time.Second, 141 * time.Second}
		for i := range want {
			if at := w.starts(); at[i] != want[i] {
				t.Fatalf("started at %v, want %v", at, want)
			}
		}
		if u.Starts() != 6 || w.said()[0] != "it ended (exit status 7); starting it again in 1s" {
			t.Errorf("%d starts, news %q", u.Starts(), w.said())
		}
	})
}

func TestUnitTriesAgainWhatDoesNotStart(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world, u *Unit) {
		t.Helper()
		w.refuse(errors.New("port in use"))
		w.last().end(nil)
		pass(2500 * time.Millisecond)
		w.refuse(nil)
		pass(10 * time.Second)
		if u.Starts() != 2 || !strings.Contains(w.said()[1], "it does not start: port in use; trying again in 2s") {
			t.Errorf("%d starts, news %q", u.Starts(), w.said())
		}
	})
}

func TestUnitStopsForGood(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world, u *Unit) {
		t.Helper()
		if err := u.Stop(); err != nil || !w.last().stopped {
			t.Errorf("stopped %v, error %v", w.last().stopped, err)
		}
		pass(time.Minute)
		if len(w.starts()) != 1 {
			t.Errorf("it was started again")
		}
	})
}

func TestUnitStopsWhileItWaitsToRestart(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world, u *Unit) {
		t.Helper()
		w.last().end(nil)
		pass(500 * time.Millisecond)
		if err := u.Stop(); err != nil || len(w.starts()) != 1 {
			t.Errorf("%d starts, error %v", len(w.starts()), err)
		}
	})
}
