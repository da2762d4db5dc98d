package terminal

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Bar shows how far something is: a bar on a terminal, else now and then a line.
type Bar struct {
	out  io.Writer
	what string
	bar  *progressbar.ProgressBar
	// next is when the next plain line is due.
	next, pause time.Duration
	began       time.Time
}

// NewBar shows progress up to total; below 0 the end is not known.
func NewBar(out io.Writer, what string, total int64) *Bar {
	b := &Bar{out: out, what: what, began: time.Now(), pause: 5 * time.Second}
	b.next = b.pause
	if IsTerminal(out) {
		b.bar = newBar(out, what, total)
	}
	return b
}

// Set says how far it is, and in other words what was done.
func (b *Bar) Set(done int64, words string) {
	if b.bar != nil {
		b.bar.Describe(b.what + " " + words)
		_ = b.bar.Set64(done) // a bar that cannot be drawn is no error of the work
		return
	}
	if took := time.Since(b.began); took > b.next {
		fmt.Fprintf(b.out, "  ... %s %s (%s)\n", b.what, words, took.Round(time.Second))
		b.pause *= 2
		b.next = took + b.pause
	}
}

// Clear takes the bar away.
func (b *Bar) Clear() {
	if b.bar != nil {
		_ = b.bar.Clear() // as above
	}
}

func newBar(out io.Writer, what string, total int64) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(out),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWidth(30),
		progressbar.OptionSpinnerType(14),
		progressbar.OptionSetElapsedTime(true),
		progressbar.OptionSetPredictTime(total > 0),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(100*time.Millisecond),
	)
}
