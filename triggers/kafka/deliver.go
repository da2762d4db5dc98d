package kafka

import (
	"context"
	"math/rand/v2"
	"time"
)

// halveAfter is the number of attempts after which a batch that may be to blame
// for the sink's failures is halved, down to the event that is.
const halveAfter = 4

// An event that still fails alone after isolateAfter attempts gets a cell of
// its own, so that its neighbours and the worker go on; its own key waits. There
// are few cells: in an outage, when every event looks like that, they are soon
// full, and the others stay together in their batches.
const (
	isolateAfter = 8
	cells        = 64
)

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

// send posts the records until each is delivered, handed on or no longer ours.
// Order is kept: a half is sent when the half before it is through.
func (t *Trigger) send(ctx context.Context, records []*record) {
	for attempt := 1; len(records) > 0; attempt++ {
		var o outcome
		if records, o = t.attempt(ctx, records); len(records) == 0 || o.verdict == delivered {
			return
		}
		if len(records) == 1 && t.handOn(ctx, records[0], o, attempt) {
			return
		}
		if len(records) > 1 && (o.verdict == refused || o.suspect && attempt >= halveAfter) {
			half := len(records) / 2
			t.send(ctx, records[:half:half])
			t.send(ctx, records[half:])
			return
		}
		records = t.again(records, o, attempt)
	}
}

// handOn gives up on a single event here: it becomes a dead letter, or goes on
// alone.
func (t *Trigger) handOn(ctx context.Context, r *record, o outcome, attempt int) bool {
	if o.verdict == refused {
		t.window.leaveLane(r) // its followers need not wait for the dead-letter topic
		t.deadLetters.put(r, refusal(o))
		return true
	}
	return o.suspect && attempt >= isolateAfter && t.isolate(ctx, r, o)
}

// isolate goes on with an event in a cell, if one is free.
func (t *Trigger) isolate(ctx context.Context, r *record, o outcome) bool {
	select {
	case t.cells <- struct{}{}:
	default:
		return false
	}
	t.log.Error("the sink fails on an event, which is tried on alone", "topic", r.claim.topic, "partition", r.claim.partition,
		"offset", r.offset, "error", o.String())
	t.window.isolate(r)
	t.metrics.isolated.Inc()
	t.workers.Go(func() {
		t.sendAlone(ctx, []*record{r}, o)
		t.metrics.isolated.Dec()
		<-t.cells
	})
	return true
}

// sendAlone is send for a cell: one request at a time for all cells, beside the
// workers' own.
func (t *Trigger) sendAlone(ctx context.Context, records []*record, o outcome) {
	for attempt := isolateAfter; ; attempt++ {
		if records = t.again(records, o, attempt); len(records) == 0 {
			return
		}
		t.alone.Lock()
		records, o = t.attempt(ctx, records)
		t.alone.Unlock()
		if len(records) == 0 || o.verdict == delivered || o.verdict == refused && t.handOn(ctx, records[0], o, attempt) {
			return
		}
	}
}

// again reports a failed attempt and waits for the next; it returns the records
// that are still ours then.
func (t *Trigger) again(records []*record, o outcome, attempt int) []*record {
	t.metrics.retries.WithLabelValues(reason(o)).Inc()
	t.log.Warn("sink did not take a batch, it is sent again", "events", len(records), "attempt", attempt, "error", o.String())
	return t.wait(records, max(o.after, t.backoff(attempt)))
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
