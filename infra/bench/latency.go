package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/millrace/millrace/infra/invariants"
	"github.com/millrace/millrace/infra/traffic"
	"github.com/millrace/millrace/infra/traffic/produce"
	"github.com/millrace/millrace/shared/kafka"
)

const (
	// probesPerSecond is how many events are probes, of a tenth of them at most.
	probesPerSecond = 100
	// probesWithin is how long the last probes may take.
	probesWithin = time.Minute
)

// latency sends at a steady rate, and times probes on their way.
func (b *bench) latency(ctx context.Context) error {
	s := b.Traffic
	s.Seed++
	s.Events, s.Duration, s.Start = 0, b.Latency, time.Now()
	if s.Rate = b.Rate; s.Rate == 0 {
		s.Rate = b.result.perSecond(b.result.Sent) / 2
	}
	generator, err := traffic.New(s)
	if err != nil {
		return err
	}
	producer, err := produce.New(b.platform.Addresses.KafkaBrokers, kafka.Security{})
	if err != nil {
		return err
	}
	o := &observer{pool: b.pool, redis: b.redis}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	var watchers errgroup.Group
	watchers.Go(func() error { return o.watch(watching, o.lookInPostgres) })
	watchers.Go(func() error { return o.watch(watching, o.lookInRedis) })

	began := time.Now()
	sent, err := o.send(ctx, generator, producer, max(10, int(s.Rate/probesPerSecond)))
	if err = cmp.Or(err, producer.Close()); err == nil {
		b.result.Latency = &Latency{Rate: float64(sent) / time.Since(began).Seconds(), Asked: s.Rate}
		err = o.finish(ctx)
	}
	stop()
	if err := errors.Join(err, watchers.Wait()); err != nil {
		return err
	}
	b.result.Latency.add(o.all)
	return invariants.Settle(ctx, b.deps())
}

// send sends the traffic at its pace; each every-th record gives its place to a
// probe.
func (o *observer) send(ctx context.Context, generator *traffic.Generator, producer *produce.Producer, every int) (sent int, err error) {
	began := time.Now()
	for r, ok := generator.Next(); ok; r, ok = generator.Next() {
		if !produce.Await(ctx, began, r.At) {
			return sent, ctx.Err()
		}
		if sent++; sent%every == 0 {
			fresh := generator.Fresh()
			p, err := newProbe(fresh.Event)
			if err != nil {
				return sent, err
			}
			o.add(p)
			if err := producer.Send(ctx, fresh); err != nil {
				return sent, err
			}
			continue
		}
		if err := producer.Send(ctx, r); err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// finish waits until every probe has been seen.
func (o *observer) finish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probesWithin)
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for len(o.missing(isCommitted))+len(o.missing(isVisible)) > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("of %d probes %d are not committed and %d not visible after %s",
				len(o.all), len(o.missing(isCommitted)), len(o.missing(isVisible)), probesWithin)
		}
	}
	return nil
}

// Latency is what probes took at a steady rate.
type Latency struct {
	// Rate is how many records a second were sent, and Asked how many should be.
	Rate  float64 `json:"rate"`
	Asked float64 `json:"asked"`
	// Families are the functions', in the order of their names; the first is all.
	Families []FamilyLatency `json:"families"`
}

// FamilyLatency is that of one function, in milliseconds.
type FamilyLatency struct {
	Family    string    `json:"family"`
	Probes    int       `json:"probes"`
	Committed Quantiles `json:"committedMs"`
	Visible   Quantiles `json:"visibleMs"`
}

// Quantiles are of times in milliseconds.
type Quantiles struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

func (l *Latency) add(all []*probe) {
	by := map[string][]*probe{"all": all}
	names := []string{}
	for _, p := range all {
		family := p.event.Function()
		if by[family] == nil {
			names = append(names, family)
		}
		by[family] = append(by[family], p)
	}
	slices.Sort(names)
	for _, name := range append([]string{"all"}, names...) {
		l.Families = append(l.Families, FamilyLatency{
			Family: name, Probes: len(by[name]),
			Committed: quantiles(by[name], func(p *probe) time.Duration { return p.committed }),
			Visible:   quantiles(by[name], func(p *probe) time.Duration { return p.visible }),
		})
	}
}

func quantiles(probes []*probe, of func(*probe) time.Duration) Quantiles {
	times := make([]time.Duration, len(probes))
	for n, p := range probes {
		times[n] = of(p)
	}
	slices.Sort(times)
	at := func(percent int) float64 {
		if len(times) == 0 {
			return 0
		}
		return float64(times[min(len(times)-1, len(times)*percent/100)]) / float64(time.Millisecond)
	}
	return Quantiles{at(50), at(95), at(99)}
}
