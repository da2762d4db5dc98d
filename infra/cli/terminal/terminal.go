// Package terminal tells a person what goes on: a spinner where the output is a
// terminal, plain lines where it is a file or a pipe. It keeps nothing, so a
// crash costs nothing.
package terminal

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Reporter writes news to a person. It implements stack.Reporter.
type Reporter struct {
	mu      sync.Mutex
	out     io.Writer
	fancy   bool
	patient time.Duration
	current *step
}

// step is something that takes its time.
type step struct {
	what    string
	started time.Time
	bar     *progressbar.ProgressBar
	quit    chan struct{}
}

// New writes to out; a terminal gets spinners.
func New(out io.Writer) *Reporter {
	return &Reporter{out: out, fancy: IsTerminal(out), patient: time.Second}
}

// IsTerminal tells whether a person watches out directly.
func IsTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Note writes one line.
func (r *Reporter) Note(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clear()
	fmt.Fprintln(r.out, "  "+line)
}

// Begin says that something goes on until the returned function is called. A
// step within a step takes the place of the outer one's line.
func (r *Reporter) Begin(what string) (done func()) {
	s := &step{what: what, started: time.Now(), quit: make(chan struct{})}
	r.mu.Lock()
	outer := r.current
	r.clear()
	r.current = s
	if r.fancy {
		s.bar = newSpinner(r.out, what)
	}
	r.mu.Unlock()
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		r.tick(s)
	}()
	return func() {
		close(s.quit)
		<-finished
		r.mu.Lock()
		defer r.mu.Unlock()
		r.clear()
		r.current = outer
	}
}

// tick turns the spinner or, without a terminal, says that it takes longer.
func (r *Reporter) tick(s *step) {
	if !r.fancy {
		r.tickPlain(s)
		return
	}
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-s.quit:
			return
		case <-ticker.C:
			r.mu.Lock()
			if r.current == s {
				_ = s.bar.Add(1) // a line that cannot be drawn is no error of the step
			}
			r.mu.Unlock()
		}
	}
}

// tickPlain writes a line when a step takes over a second, and again each time
// it has taken twice as long.
func (r *Reporter) tickPlain(s *step) {
	wait := r.patient
	for {
		timer := time.NewTimer(wait)
		select {
		case <-s.quit:
			timer.Stop()
			return
		case <-timer.C:
		}
		r.mu.Lock()
		if took := time.Since(s.started).Round(time.Second); took < 2*r.patient {
			fmt.Fprintf(r.out, "  ... %s\n", s.what)
		} else {
			fmt.Fprintf(r.out, "  ... %s (%s)\n", s.what, took)
		}
		r.mu.Unlock()
		wait = max(wait, time.Since(s.started))
	}
}

// clear removes the spinner's line, if there is one.
func (r *Reporter) clear() {
	if r.current != nil && r.current.bar != nil {
		_ = r.current.bar.Clear() // as above
	}
}

func newSpinner(out io.Writer, what string) *progressbar.ProgressBar {
	return progressbar.NewOptions(-1,
		progressbar.OptionSetWriter(out),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSpinnerType(14),
		// It is turned here, so that nothing is drawn across a note.
		progressbar.OptionSetSpinnerChangeInterval(0),
		progressbar.OptionSetElapsedTime(true),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(50*time.Millisecond),
	)
}
