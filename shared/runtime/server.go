package runtime

import (
	"context"
	"hash/maphash"
	"net/http"
	"time"

	"github.com/millrace/millrace/shared/binding"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/fault"
	"github.com/millrace/millrace/shared/function"
)

// intake takes requests with events.
type intake struct {
	fn        function.Definition
	adopt     func(*event.Event) // into a trace, perhaps
	config    Config
	reader    *binding.Reader
	admission *admission
	shards    []*shard
	seed      maphash.Seed
}

// ServeHTTP decides the events of a request and answers after their commit.
func (in *intake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, err := in.serve(w, r, binding.MaxEvents); err != nil {
		fault.Write(w, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// serve decides the events of a request, which may be so many.
func (in *intake) serve(w http.ResponseWriter, r *http.Request, most int) ([]*candidate, error) {
	ctx, cancel := context.WithTimeout(r.Context(), in.config.RequestTimeout)
	defer cancel()
	if r.Method != http.MethodPost {
		return nil, fault.New(fault.WrongMethod, "events come by POST")
	}
	received, release, err := in.reader.Events(ctx, w, r)
	if err != nil {
		return nil, err
	}
	if len(received) > most {
		release()
		return nil, fault.New(fault.Unreadable, "%d events, where there may be %d", len(received), most)
	}
	return in.decide(ctx, received, release)
}

// decide returns when the events are committed, with what became of each. The
// room that their request takes is released when they have left the process,
// which may be after the sender did.
func (in *intake) decide(ctx context.Context, received []event.Received, release func()) ([]*candidate, error) {
	if len(received) == 0 {
		release()
		return nil, nil
	}
	// Processing ends a little before the request, so that its reason is heard.
	deadline, _ := ctx.Deadline()
	req := newRequest(len(received), deadline.Add(-in.config.RequestTimeout/20))
	now := time.Now()
	candidates := make([]*candidate, len(received))
	parts := make([][]*candidate, len(in.shards))
	d := demand{total: len(received), byTenant: map[string]int{}}
	for i, r := range received {
		c := newCandidate(in.fn, r, now)
		in.adopt(r.Event)
		c.request = req
		candidates[i] = c
		d.byTenant[tenantOf(c)]++
		n := in.shardOf(c)
		parts[n] = append(parts[n], c)
	}
	waiting, enough := binding.Waiting(ctx)
	defer enough()
	if err := in.admission.acquire(waiting, d); err != nil {
		release()
		return nil, err
	}
	for n, part := range parts {
		if len(part) > 0 {
			in.shards[n].put(part)
		}
	}
	select {
	case <-req.done:
		release()
		return candidates, req.err()
	case <-ctx.Done():
		go func() {
			<-req.done
			release()
		}()
		return nil, fault.New(fault.TimedOut, "not committed in %v", in.config.RequestTimeout)
	}
}

func (in *intake) shardOf(c *candidate) int {
	if c.event == nil {
		return 0
	}
	return int(maphash.Comparable(in.seed, c.entity()) % uint64(len(in.shards)))
}
