package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/money"
	"github.com/millrace/millrace/shared/views"
)

// lookEvery is how often probes are looked for.
const lookEvery = 3 * time.Millisecond

// probe is an event whose way is timed.
type probe struct {
	event *event.Event
	shown []views.View // what Redis shows then
	sent  time.Time
	// committed and visible are how long each took; 0 if it is not there yet.
	committed, visible time.Duration
}

// newProbe works out what Redis will show of an event that is the only one of
// its entity.
func newProbe(e *event.Event) (*probe, error) {
	all := functions.All()
	n := slices.IndexFunc(all, func(fn function.Definition) bool { return fn.FunctionName() == e.Function() })
	if n < 0 {
		return nil, fmt.Errorf("there is no function %s", e.Function())
	}
	fn := all[n]
	payload, err := fn.Decode(e)
	if err != nil {
		return nil, err
	}
	entity := fn.NewEntity(function.Head{TenantID: e.TenantID, Subject: e.Subject})
	fx, err := fn.Decide(entity, e, payload)
	if err != nil {
		return nil, err
	}
	p := &probe{event: e, shown: fn.RenderViews(entity)}
	for _, d := range fx.Deltas {
		if d.Key == e.Subject { // what others share has other numbers
			p.shown = append(p.shown, fn.RenderAggregate(d.Name, function.Aggregate{
				TenantID: d.TenantID, Key: d.Key, Fields: map[string]money.Decimal{d.Field: d.Amount}, Version: 1,
			})...)
		}
	}
	if len(p.shown) == 0 {
		return nil, errors.New("Redis shows nothing of " + e.Type)
	}
	return p, nil
}

// observer looks for probes.
type observer struct {
	pool  *pgxpool.Pool
	redis redis.UniversalClient

	mu  sync.Mutex
	all []*probe
}

func (o *observer) add(p *probe) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p.sent = time.Now()
	o.all = append(o.all, p)
}

// missing are the probes that are not there yet.
func (o *observer) missing(there func(*probe) bool) []*probe {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(o.all), there)
}

func isCommitted(p *probe) bool { return p.committed > 0 }
func isVisible(p *probe) bool   { return p.visible > 0 }

// watch looks again and again until ctx ends.
func (o *observer) watch(ctx context.Context, look func(context.Context) error) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := look(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

const findProbes = `
SELECT batch.n
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[]) AS batch (n, tenant_id, source, id)
JOIN millrace.seen AS s USING (tenant_id, source, id)`

func (o *observer) lookInPostgres(ctx context.Context) error {
	open := o.missing(isCommitted)
	if len(open) == 0 {
		return nil
	}
	ns := make([]int32, len(open))
	for n := range open {
		ns[n] = int32(n)
	}
	rows, err := o.pool.Query(ctx, findProbes, ns,
		function.Column(open, func(p *probe) string { return p.event.TenantID }),
		function.Column(open, func(p *probe) string { return p.event.Source }),
		function.Column(open, func(p *probe) string { return p.event.ID }))
	if err != nil {
		return err
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[int])
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, n := range found {
		open[n].committed = now.Sub(open[n].sent)
	}
	return err
}

func (o *observer) lookInRedis(ctx context.Context) error {
	open := o.missing(isVisible)
	var shown []views.View
	for _, p := range open {
		shown = append(shown, p.shown...)
	}
	if len(shown) == 0 {
		return nil
	}
	found, err := views.Diff(ctx, o.redis, shown)
	if err != nil {
		return err
	}
	lacking := map[string][]string{} // members, by key
	for _, d := range found {
		lacking[d.Key] = append(lacking[d.Key], d.Member)
	}
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range open {
		if !p.lacks(lacking) {
			p.visible = now.Sub(p.sent)
		}
	}
	return nil
}

// lacks reports whether a difference is one of the probe's: of a key of its own,
// or of a member that is named after it.
func (p *probe) lacks(members map[string][]string) bool {
	return slices.ContainsFunc(p.shown, func(v views.View) bool {
		return slices.ContainsFunc(members[views.KeyOf(v)], func(member string) bool {
			// Names of members are made of the subject, or of the event's.
			return member == "" || strings.Contains(member, p.event.Subject) || strings.Contains(member, p.event.ID)
		})
	})
}
