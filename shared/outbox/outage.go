package outbox

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/millrace/millrace/shared/postgres"
)

// outage knows whether Redis or Kafka is out of reach. It logs the beginning
// and the end of an outage, not every claim in it, and says when offered
// claims may try again.
type outage struct {
	name    string        // Redis, Kafka
	effect  string        // what follows from it
	backOff time.Duration // the first
	log     *slog.Logger

	mu    sync.Mutex
	since time.Time // zero: it is in reach
	wait  time.Duration
	until time.Time
}

func newOutage(name, effect string, backOff time.Duration, log *slog.Logger) *outage {
	return &outage{name: name, effect: effect, backOff: backOff, log: log}
}

// waiting reports whether an outage is on and it is too early to try again.
func (o *outage) waiting() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.since.IsZero() && time.Now().Before(o.until)
}

// on reports whether an outage is on.
func (o *outage) on() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.since.IsZero()
}

// failed notes that an attempt failed.
func (o *outage) failed(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if o.since.IsZero() {
		o.since, o.wait = now, o.backOff
		o.log.Warn(o.name+" fails: "+o.effect, "error", postgres.Redact(err.Error()))
	} else {
		o.wait = min(2*o.wait, 30*o.backOff)
	}
	o.until = now.Add(o.wait)
}

// worked notes that an attempt got through.
func (o *outage) worked() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.since.IsZero() {
		o.log.Info(o.name+" works again", "after", time.Since(o.since).Round(time.Millisecond).String())
		o.since = time.Time{}
	}
}

// note notes how an attempt went, and returns what it is given as an
// unreachableError. One that was called off says nothing about the other side.
func (o *outage) note(ctx context.Context, err error) error {
	if err == nil {
		o.worked()
		return nil
	}
	if ctx.Err() == nil {
		o.failed(err)
	}
	return &unreachableError{o.name, err}
}

// unreachableError says that Redis or Kafka as a whole does not work.
type unreachableError struct {
	name string
	err  error
}

func (e *unreachableError) Error() string { return e.name + ": " + e.err.Error() }
func (e *unreachableError) Unwrap() error { return e.err }
