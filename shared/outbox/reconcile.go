package outbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/millrace/millrace/shared/views"
)

// Reconcile compares the epoch that each Redis master was last rebuilt in with
// the database's, and rebuilds those that were flushed, lost their tail, or
// show what a database says that is no more. Some minutes after that it removes what
// claims of the lost database brought late. It returns how many it rebuilt.
//
//	a crash before the rebuild         the mismatch is found again
//	in it                              the same, and the rebuild goes on where it was
//	after it, before the epoch is set  the same, and there is nothing more to show
//	a flush in the rebuild             the epoch is not set, and the rebuild begins again
func (r *Relay) Reconcile(ctx context.Context) (int, error) {
	if r.rebuildOut.waiting() {
		return 0, nil
	}
	epoch, masters, err := r.mismatched(ctx)
	if err != nil || len(masters) == 0 {
		return 0, err
	}
	rebuilt, err := r.restore(ctx, epoch, masters)
	if rebuildErr := r.rebuildOut.note(ctx, err); rebuildErr != nil {
		return 0, rebuildErr
	}
	r.stats.rebuilt.Add(int64(rebuilt))
	return rebuilt, nil
}

// Restore shows anew what a part shows, whatever Redis says of itself, and returns
// when it is shown. Live writes go on; it may run twice, and at once with
// [Relay.Reconcile]. If the part is everything, it is a rebuild of the masters that
// Reconcile would rebuild too.
//
// A crash leaves a part shown anew; doing it again does no harm.
func (r *Relay) Restore(ctx context.Context, part Part) error {
	if !part.whole() {
		return (&rebuilding{relay: r, part: part}).run(ctx)
	}
	epoch, masters, err := r.mismatched(ctx)
	if err != nil {
		return err
	}
	if err := r.knowsAll(ctx); err != nil {
		return err
	}
	if masters, err = r.begin(ctx, epoch, masters); err != nil {
		return err
	}
	if err := (&rebuilding{relay: r, part: part}).run(ctx); err != nil || len(masters) == 0 {
		return err
	}
	_, err = r.conclude(ctx, epoch, masters)
	return err
}

// mismatched returns the database's epoch and the masters on which there is something
// to do about it.
func (r *Relay) mismatched(ctx context.Context) (epoch int64, masters []views.Master, err error) {
	if epoch, err = r.checkTimeline(ctx); err != nil {
		return 0, nil, err
	}
	client, _, err := r.connect(ctx)
	if err != nil {
		return 0, nil, r.redisOut.note(ctx, err)
	}
	masters, err = views.CheckEpoch(ctx, client, epoch)
	if behind, ok := errors.AsType[*views.EpochBehindError](err); ok {
		// The database was restored, or its clock is behind that of the server
		// that failed: all it says would be stale.
		r.log.Warn("the database begins a new epoch: Redis is ahead of it", "error", err)
		if epoch, err = RenewEpoch(ctx, r.cfg.Pool, behind.Redis); err != nil {
			return 0, nil, err
		}
		masters, err = views.CheckEpoch(ctx, client, epoch)
	}
	return epoch, masters, r.redisOut.note(ctx, err)
}

// restore does what the order in package views' epoch.go asks for, and returns how many
// masters are rebuilt.
func (r *Relay) restore(ctx context.Context, epoch int64, masters []views.Master) (int, error) {
	started := time.Now()
	if err := r.knowsAll(ctx); err != nil {
		return 0, err
	}
	masters, err := r.begin(ctx, epoch, masters)
	if err != nil || len(masters) == 0 {
		return 0, err
	}
	lost := without(masters, views.Master.Late)
	for _, m := range lost {
		r.log.Warn("Redis lost its views or shows those of another epoch: rebuilding it", "master", m.Address, "epoch", epoch)
	}
	for _, group := range byPosition(lost) {
		if err := r.rebuild(ctx, group); err != nil {
			return 0, err
		}
	}
	removed, err := r.conclude(ctx, epoch, masters)
	if err != nil {
		return 0, err
	}
	switch {
	case len(lost) > 0:
		r.log.Info("Redis is rebuilt", "masters", len(lost), "removed", removed, "took", time.Since(started).Round(time.Millisecond).String())
	case removed > 0:
		r.log.Info("Redis is rid of what claims of an earlier epoch brought late", "removed", removed)
	}
	return len(lost), nil
}

// byPosition groups masters by how far their rebuild came: those that were lost
// together are rebuilt together.
func byPosition(masters []views.Master) map[string][]views.Master {
	groups := map[string][]views.Master{}
	for _, m := range masters {
		groups[m.Reached()] = append(groups[m.Reached()], m)
	}
	return groups
}

// rebuild shows on masters what is not shown yet. If some of it cannot be shown, the
// next one begins again.
func (r *Relay) rebuild(ctx context.Context, masters []views.Master) error {
	b := &rebuilding{relay: r, masters: masters, at: readPosition(masters[0].Reached())}
	err := b.run(ctx)
	if err != nil && b.through {
		err = errors.Join(err, r.notePosition(ctx, "", masters))
	}
	return err
}

// begin notes that the rebuild begins, and returns the masters that still need it.
func (r *Relay) begin(ctx context.Context, epoch int64, masters []views.Master) ([]views.Master, error) {
	client, _, err := r.connect(ctx)
	if err != nil {
		return nil, err
	}
	return views.Begin(ctx, client, epoch, masters...)
}

// notePosition notes on masters how far their rebuild came.
func (r *Relay) notePosition(ctx context.Context, reached string, masters []views.Master) error {
	client, _, err := r.connect(ctx)
	if err != nil {
		return err
	}
	return views.Reach(ctx, client, reached, masters...)
}

// conclude ends the rebuild of masters: it removes what earlier epochs showed,
// and notes that it is done.
func (r *Relay) conclude(ctx context.Context, epoch int64, masters []views.Master) (removed int, err error) {
	client, _, err := r.connect(ctx)
	if err != nil {
		return 0, err
	}
	if removed, err = views.Prune(ctx, client, epoch, masters...); err != nil {
		return 0, fmt.Errorf("after the rebuild: %w", err)
	}
	if err := views.SetEpoch(ctx, client, masters...); err != nil {
		return 0, fmt.Errorf("after the rebuild: %w", err)
	}
	return removed, nil
}

const unknownFunction = `
SELECT min(function)
FROM (SELECT function FROM millrace.entities WHERE function <> ALL ($1) LIMIT 1) AS unknown`

// knowsAll fails if the database has entities of a function that this process
// does not know, such as a newer one: a rebuild would leave out their views,
// and then say that all are there.
func (r *Relay) knowsAll(ctx context.Context) error {
	var unknown *string
	if err := r.cfg.Pool.QueryRow(ctx, unknownFunction, slices.Collect(maps.Keys(r.functions))).Scan(&unknown); err != nil {
		return fmt.Errorf("looking for functions that this process does not know: %w", err)
	}
	if unknown != nil {
		return fmt.Errorf("the database has entities of function %q, which this process does not know: run a relay that does", *unknown)
	}
	return nil
}

// checkTimeline returns the database's epoch, renewed if it failed over.
func (r *Relay) checkTimeline(ctx context.Context) (int64, error) {
	epoch, err := Epoch(ctx, r.cfg.Pool)
	if errors.Is(err, ErrNoTimeline) {
		r.noTimeline.Do(func() {
			r.log.Warn("a failover of the database will go unnoticed, so Redis may show what was lost in it", "error", err)
		})
		return epoch, nil
	}
	return epoch, err
}
