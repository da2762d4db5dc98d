package test_test

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	corev1 "k8s.io/api/core/v1"
)

// picture is the cluster at a moment.
type picture struct {
	at    time.Duration
	sent  int64 // so far
	done  int64 // records that are taken so far
	left  int64 // records that wait
	pods  int   // that take requests
	there int   // in whatever state
	most  int   // of one function, that take requests
}

// film takes a picture every second.
type film struct {
	w        *world
	admin    *kadm.Client
	load     *load
	began    time.Time
	before   int64
	pictures []picture
	stopped  chan struct{}
	stop     context.CancelFunc
}

func (w *world) roll(t *testing.T, l *load) *film {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.brokers...))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	f := &film{w: w, admin: kadm.NewClient(client), load: l, began: time.Now(), stopped: make(chan struct{}), stop: stop}
	if f.before, _, err = f.records(ctx); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(f.stopped)
		defer client.Close()
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for ; ctx.Err() == nil; <-tick.C {
			if p, err := f.take(ctx); err == nil {
				f.pictures = append(f.pictures, p)
			}
		}
	}()
	return f
}

// cut ends it.
func (f *film) cut() []picture {
	f.stop()
	<-f.stopped
	return f.pictures
}

func (f *film) take(ctx context.Context) (p picture, err error) {
	p.at, p.sent = time.Since(f.began), f.load.handed.Load()
	if p.done, p.left, err = f.records(ctx); err != nil {
		return p, err
	}
	p.done -= f.before
	pods, err := f.w.pods(ctx, functions()...)
	of := map[string][]corev1.Pod{}
	for _, pod := range pods {
		of[pod.Labels[serviceLabel]] = append(of[pod.Labels[serviceLabel]], pod)
	}
	for _, one := range of {
		p.most = max(p.most, ready(one))
	}
	p.pods, p.there = ready(pods), len(pods)
	return p, err
}

// records counts what all triggers have taken, and what waits for them.
func (f *film) records(ctx context.Context) (done, left int64, err error) {
	for _, name := range functions() {
		d, l, err := sumExtents(ctx, f.admin, name)
		if err != nil {
			return 0, 0, err
		}
		done, left = done+d, left+l
	}
	return done, left, nil
}
