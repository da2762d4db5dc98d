package test_test

import (
	"context"
	"flag"
	"os"
	"strconv"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "draw docs/cluster/spike.svg")

// spikeFor is how long the spike lasts.
const spikeFor = 20 * time.Second

// spikeRate is how many events a second come in it.
func spikeRate(t *testing.T) float64 {
	t.Helper()
	text := os.Getenv("MILLRACE_TEST_RATE")
	if text == "" {
		return 2000
	}
	rate, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatalf("MILLRACE_TEST_RATE: %v", err)
	}
	return rate
}

// Thousands of events a second from nothing: pods go from zero to several and back,
// nothing is lost, nothing has its effect twice, and no stream has a gap.
func TestSpike(t *testing.T) {
	w := join(t)
	t.Cleanup(func() { w.restore(t) })
	w.scaleTriggers(t, 3, functions()...)
	w.awaitZero(t, functions()...)
	s := newTraffic(t, 0)
	s.Rate, s.Duration, s.Sequences = spikeRate(t), spikeFor, true
	s.Duplicates, s.Reorder, s.Gaps = 0.01, 0.01, 0.01
	load := w.begin(t, s)
	film := w.roll(t, load)
	sent := load.wait(t)
	t.Logf("%d events sent in %s", len(sent), time.Since(film.began).Round(time.Second))
	w.awaitTaken(t, film)
	w.awaitZero(t, functions()...)
	pictures := film.cut()
	tell(t, pictures)
	most := 0
	for _, p := range pictures {
		most = max(most, p.most)
	}
	if most < 2 {
		t.Errorf("no function had more than %d pods", most)
	}
	w.check(t, sent)
	if *update {
		draw(t, "../../../docs/cluster/spike.svg", pictures, s.Rate)
	}
}

// awaitTaken returns when no record waits any more.
func (w *world) awaitTaken(t *testing.T, f *film) {
	t.Helper()
	await(t, "every record is taken", 10*time.Minute, func(ctx context.Context) (string, error) {
		_, left, err := f.records(ctx)
		if left == 0 {
			return "", err
		}
		return strconv.FormatInt(left, 10) + " wait", err
	})
}

// tell prints when what was reached.
func tell(t *testing.T, pictures []picture) {
	t.Helper()
	most, backlog, first, taken := picture{}, picture{}, time.Duration(0), time.Duration(0)
	for _, p := range pictures {
		if p.left > 0 {
			taken = p.at
		}
		if p.pods > 0 && first == 0 {
			first = p.at
		}
		if p.pods > most.pods {
			most = p
		}
		if p.left > backlog.left {
			backlog = p
		}
	}
	last := pictures[len(pictures)-1]
	t.Logf("the first pod was ready after %s, %d pods after %s; the backlog was at most %d records, after %s",
		first.Round(time.Second), most.pods, most.at.Round(time.Second), backlog.left, backlog.at.Round(time.Second))
	t.Logf("all were taken after %s, %d with those that follow from them; no pod was there %s later",
		taken.Round(time.Second), last.done, (last.at - taken).Round(time.Second))
}
