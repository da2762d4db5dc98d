package outbox

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/shared/views"
)

const (
	// loadItems is how many entities and aggregates are read in one snapshot.
	loadItems = 500
	// maxTries bounds how often an item whose views expire is read afresh.
	maxTries = 3
)

// show brings Redis to what the claims say, or newer.
//
// Views rendered by the transaction itself go as they are; entities without
// them, and all aggregates, are read afresh, each once however many claims name
// it. A pause anywhere in here is harmless: the scripts compare versions, and
// refuse views whose deadline is over, which are then read afresh.
func (r *Relay) show(ctx context.Context, works []*work) error {
	known, open := collect(works)
	if len(known)+len(open) == 0 {
		return nil
	}
	client, clock, err := r.connect(ctx)
	if err != nil {
		return r.redisOut.note(ctx, err)
	}
	if err := r.ensureEpoch(ctx); err != nil {
		return err
	}
	s := newShowing(r)
	unreachable, err := s.run(ctx, client, clock, known, open)
	for _, w := range works {
		s.settle(w)
		if w.hasViews() && len(w.rest.entities)+len(w.rest.aggregates) == 0 {
			r.visible(w)
		}
	}
	return errors.Join(r.redisOut.note(ctx, unreachable), err)
}

// connect returns Redis once it answers.
func (r *Relay) connect(ctx context.Context) (redis.UniversalClient, *views.Clock, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	client, clock, err := r.redis.get(ctx)
	if err != nil {
		return nil, nil, err
	}
	_, err = clock.Now(ctx)
	return client, clock, err
}

// collect sorts what is to be shown: claims whose views are known, and items
// that have to be read, each once.
func collect(works []*work) (known []*work, open []item) {
	listed := map[item]bool{}
	for _, w := range works {
		// One that committed before the epoch had a number is read afresh.
		rendered := !w.rendered.IsZero() && w.epoch.number() > 0
		if rendered && len(w.Entities) > 0 {
			known = append(known, w)
		}
		for _, i := range w.items() {
			if (i.name != "" || !rendered) && !listed[i] {
				listed[i] = true
				open = append(open, i)
			}
		}
	}
	return known, open
}

// showing is one go at showing claims or items.
type showing struct {
	relay   *Relay
	rewrite bool           // also what is shown already
	masters []views.Master // only on these, if there are any

	settled map[item]epoch
	shown   map[*work]epoch // claims whose known views are shown
	tries   map[item]int
}

func newShowing(r *Relay) *showing {
	return &showing{relay: r, settled: map[item]epoch{}, shown: map[*work]epoch{}, tries: map[item]int{}}
}

// run shows the known views of claims, and the items. Its first error means
// that Redis does not answer.
func (s *showing) run(ctx context.Context, client redis.UniversalClient, clock *views.Clock, known []*work, open []item) (unreachable, err error) {
	now, err := clock.Now(ctx)
	if err != nil {
		return err, nil
	}
	sheets, errs := knownSheets(known, now), []error(nil)
	for len(sheets)+len(open) > 0 {
		chunk := open[:min(loadItems, len(open))]
		open = open[len(chunk):]
		if len(chunk) > 0 {
			loaded, err := s.load(ctx, clock, chunk)
			if err != nil {
				errs, open = append(errs, err), nil // what is known is shown nevertheless
			} else {
				sheets = merge(sheets, loaded)
			}
		}
		for _, sheet := range sheets {
			expired, unreachable, err := s.apply(ctx, client, sheet)
			if unreachable != nil {
				return unreachable, errors.Join(errs...)
			}
			errs = append(errs, err)
			open = append(open, expired...)
			if len(expired) > 0 {
				clock.Forget()
			}
		}
		sheets = nil
	}
	return nil, errors.Join(errs...)
}

// knownSheets makes a sheet of the known views of each epoch. They expire as if
// they had been read when they were rendered.
func knownSheets(known []*work, now time.Time) []*sheet {
	var sheets []*sheet
	for _, w := range known {
		deadline := now.Add(views.Lifetime - age(w.rendered))
		sheet := &sheet{epoch: w.epoch, claim: views.Claim{Deadline: deadline, Epoch: w.epoch.number()}}
		sheet.add(owner{work: w}, w.Views)
		sheets = merge(sheets, sheet)
	}
	return sheets
}

// age is how long ago t was, by the clock that says more: one stands still
// while the machine is suspended, the other may be set.
func age(t time.Time) time.Duration {
	now := time.Now()
	return max(now.Sub(t), now.Round(0).Sub(t.Round(0)))
}

// apply sends a sheet, notes what is settled, and returns what has to be read
// afresh.
func (s *showing) apply(ctx context.Context, client redis.UniversalClient, sheet *sheet) (expired []item, unreachable, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.relay.cfg.Timeout)
	defer cancel()
	result, err := s.relay.apply(ctx, client, sheet.views, sheet.claim)
	s.relay.stats.views.Add(int64(result.Count(views.Applied)))
	for n, outcome := range sheet.outcomes(result) {
		o := sheet.owners[n]
		switch outcome {
		case views.Applied, views.Stale:
			s.note(o, sheet.epoch)
		case views.Expired:
			expired = append(expired, s.afresh(o)...)
		}
	}
	if result.Count(views.Unknown) > 0 {
		return nil, err, nil
	}
	return expired, nil, err
}

func (s *showing) note(o owner, at epoch) {
	if o.work != nil {
		s.shown[o.work] = at
	} else {
		s.settled[o.item] = at
	}
}

// afresh returns what has to be read again because its views expired. Nothing
// expires for ever: an item that does so again and again is left to the next
// sweep.
func (s *showing) afresh(o owner) []item {
	if o.work == nil {
		if s.tries[o.item]++; s.tries[o.item] > maxTries {
			return nil
		}
		return []item{o.item}
	}
	var items []item
	for _, e := range o.work.Entities {
		items = append(items, entityItem(o.work.Function, e))
	}
	return items
}

// settle takes what is shown off the rest of a claim.
func (s *showing) settle(w *work) {
	is := func(i item) bool {
		at, ok := s.settled[i]
		if ok {
			w.shown(at)
		}
		return ok
	}
	if at, ok := s.shown[w]; ok {
		w.shown(at)
		w.rest.entities = nil
	} else {
		w.rest.entities = without(w.Entities, func(e Entity) bool { return is(entityItem(w.Function, e)) })
	}
	w.rest.aggregates = without(w.Aggregates, func(a Aggregate) bool { return is(aggregateItem(w.Function, a)) })
}
