package kafka

import (
	"context"
	"math/rand/v2"
	"time"
)

// halveAfter is the number of attempts after which a batch that may be to blame
// for the sink's failures is halved, down to the event that is.
const halveAfter = 4

// deliver is one of InFlight workers: a batch is in one worker's hands until
// its last event is done.
func (t *Trigger) deliver(ctx context.Context) {
	for {
		batch := t.window.take()
		if batch == nil {
			return
		}
		t.send(ctx, batch)
	}
}

// send posts the records until each is delivered, handed to the dead letters or
// no longer ours. Order is kept: a half is sent when the half before it is through.
func (t *Trigger) send(ctx context.Context, records []*record) {
	for attempt := 1; ; attempt++ {
		var o outcome
		if records, o = t.attempt(ctx, records); len(records) == 0 {
			return
		}
		switch {
		case o.verdict == delivered:
			return
		case o.verdict == refused && len(records) == 1:
			t.window.leaveLane(records[0]) // its followers need not wait for the dead-letter topic
			t.deadLetters.put(records[0], refusal(o))
			return
		case len(records) > 1 && (o.verdict == refused || o.suspect && attempt >= halveAfter):
			half := len(records) / 2
			t.send(ctx, records[:half:half])
			t.send(ctx, records[half:])
			return
		}
		t.metrics.retries.WithLabelValues(reason(o)).Inc()
		t.log.Warn("sink did not take a batch, it is sent again", "events", len(records), "attempt", attempt, "cause", o.String())
		records = t.wait(records, max(o.after, t.backoff(attempt)))
	}
}

// attempt posts those of the records that are still ours, and returns them.
func (t *Trigger) attempt(ctx context.Context, records []*record) ([]*record, outcome) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := t.window.begin(records, cancel)
	if len(f.records) == 0 {
		t.window.land(f, nil)
		return nil, outcome{}
	}
	t.metrics.inFlight.Inc()
	defer t.metrics.inFlight.Dec()
	t.metrics.batch.Observe(float64(len(f.records)))
	o := t.sink.post(ctx, f.records)
	if o.verdict != delivered {
		t.window.land(f, nil)
		return f.records, o
	}
	// The function has committed. A crash here: the batch comes again, and
	// changes nothing.
	t.metrics.delivered.Add(float64(len(f.records)))
	t.window.land(f, f.records)
	return f.records, o
}

// wait pauses, and returns the records that are still ours then; at once if
// none is.
func (t *Trigger) wait(records []*record, pause time.Duration) []*record {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		var revoked <-chan struct{}
		if records, revoked = t.window.live(records); len(records) == 0 {
			return nil
		}
		select {
		case <-timer.C:
			return records
		case <-revoked:
		}
	}
}

// backoff doubles from RetryMin to RetryMax, less up to half of it by chance, so
// that triggers that failed together don't come back together.
func (t *Trigger) backoff(attempt int) time.Duration {
	d := min(t.cfg.RetryMin<<min(attempt-1, 16), t.cfg.RetryMax)
	return d - rand.N(d/2+1)
}
