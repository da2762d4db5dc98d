package invariants

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/fault"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/views"
)

// item is what views are of: an entity of a function or, if name is set, one of
// its aggregates, as one snapshot has it.
type item struct {
	name, tenant, key string
	version           int64
	views             []views.View
	// pending says that the outbox has still something to tell of it.
	pending bool
	// changes is how often it had another version at the end of a look.
	changes int
}

// enough is how many looks may find that an item changed meanwhile.
const enough = 10

// id is what an item is called.
type id struct{ name, tenant, key string }

func (i *item) id() id { return id{i.name, i.tenant, i.key} }

// checkShown is I5: Redis shows each entity and each aggregate as PostgreSQL
// has it, and nothing else. What is shown is rendered here from the tables, as
// a rebuild would.
func (c *check) checkShown(ctx context.Context) error {
	if c.deps.Redis == nil {
		return nil
	}
	if !c.deps.Live {
		var left int
		if err := c.deps.Pool.QueryRow(ctx, `SELECT count(*) FROM millrace.outbox`).Scan(&left); err != nil {
			return err
		}
		if left > 0 {
			c.brokenf("I5", "rows that the relay has left in the outbox", "%d rows", left)
		}
	}
	began := time.Now()
	var shown []views.View
	for _, fn := range c.deps.Functions {
		var late []*item
		err := c.items(ctx, fn, c.deps.Scope, func(page []*item) error {
			shown = append(shown, bare(page)...)
			more, err := c.compareShown(ctx, fn, page)
			late = append(late, more...)
			c.progress("comparing Redis with "+fn.FunctionName(), entitiesIn(page))
			return err
		})
		if err == nil {
			err = c.lookAtLate(ctx, fn, late)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", fn.FunctionName(), err)
		}
	}
	return c.checkStrays(ctx, began, shown)
}

func entitiesIn(page []*item) (n int) {
	for _, i := range page {
		if i.name == "" {
			n++
		}
	}
	return n
}

// compareShown compares Redis with a page of items, and looks again at those that
// differ: something may have happened between the two looks. It returns those for
// which something did.
func (c *check) compareShown(ctx context.Context, fn function.Definition, page []*item) (late []*item, err error) {
	c.report.Checked.Views += len(all(page))
	found, err := c.diff(ctx, page)
	if err != nil {
		return nil, err
	}
	var suspects []*item
	for _, i := range page {
		if len(found[i.id()]) > 0 {
			suspects = append(suspects, i)
		}
	}
	if len(suspects) == 0 {
		return nil, nil
	}
	return c.lookAgain(ctx, fn, suspects, !c.deps.Live)
}

// lookAgain settles which items really differ, and returns those that it cannot
// settle yet. An item differs if, in one snapshot, it has a version and the outbox
// has nothing more to tell of it, Redis is read after that and shows it otherwise,
// and then its version is still the same: all that was decided about it had been
// told before Redis was read, and nothing else. No clock is in that.
//
// Otherwise there is traffic. At last what the outbox still has to tell differs
// too.
func (c *check) lookAgain(ctx context.Context, fn function.Definition, suspects []*item, last bool) (rest []*item, err error) {
	if err := c.reload(ctx, fn, suspects); err != nil {
		return nil, err
	}
	found, err := c.diff(ctx, suspects)
	if err != nil {
		return nil, err
	}
	now, err := c.versions(ctx, fn, suspects)
	if err != nil {
		return nil, err
	}
	for _, i := range suspects {
		switch differences := found[i.id()]; {
		case len(differences) == 0:
		case now[i.id()] != i.version:
			i.changes++
			rest = append(rest, i)
		case i.pending && !last:
			rest = append(rest, i)
		case i.pending:
			c.differ("what the relay has still to show", differences)
		default:
			c.differ("what Redis shows otherwise than PostgreSQL has it", differences)
		}
	}
	return rest, nil
}

// lookAtLate looks at items until Redis shows them, for the patience that there
// is. What changes all the time is busy.
func (c *check) lookAtLate(ctx context.Context, fn function.Definition, late []*item) error {
	began, pause := time.Now(), 10*time.Millisecond
	for len(late) > 0 && fault.Pause(ctx, pause) {
		pause = min(2*pause, time.Second)
		last := c.deps.Patience > 0 && time.Since(began) > c.deps.Patience
		var rest []*item
		for from := 0; from < len(late); from += pageEntities {
			page, err := c.lookAgain(ctx, fn, late[from:min(from+pageEntities, len(late))], last)
			if err != nil {
				return err
			}
			rest = append(rest, page...)
		}
		late = c.leaveBusy(rest, last || c.deps.Patience == 0 && time.Since(began) > time.Second)
	}
	return ctx.Err()
}

// leaveBusy takes out the items that nobody looks at any more.
func (c *check) leaveBusy(late []*item, all bool) (rest []*item) {
	for _, i := range late {
		if all || i.changes > enough {
			c.report.Checked.Busy++
			continue
		}
		i.views = nil // many may be late
		rest = append(rest, i)
	}
	return rest
}

// diff compares Redis with items, and returns what differs of each.
func (c *check) diff(ctx context.Context, page []*item) (map[id][]views.Difference, error) {
	found, err := views.Diff(ctx, c.deps.Redis, all(page))
	if err != nil || len(found) == 0 {
		return nil, err
	}
	owners := map[spot]id{}
	for _, i := range page {
		for _, v := range i.views {
			owners[placeOf(v)] = i.id()
		}
	}
	of := map[id][]views.Difference{}
	for _, d := range found {
		owner, is := owners[spot{d.Key, d.Member}]
		if !is {
			owner = owners[spot{d.Key, ""}]
		}
		of[owner] = append(of[owner], d)
	}
	return of, nil
}

// spot is a key of Redis, or a member of one that many entities share.
type spot struct{ key, member string }

func placeOf(v views.View) spot {
	switch v := v.(type) {
	case views.Member:
		return spot{v.Key, v.Member}
	case views.Bit:
		return spot{v.Key, v.Member}
	}
	return spot{views.KeyOf(v), ""}
}

func all(page []*item) (out []views.View) {
	for _, i := range page {
		out = append(out, i.views...)
	}
	return out
}

func (c *check) differ(what string, found []views.Difference) {
	for _, d := range found {
		where := d.Key
		if d.Member != "" {
			where = fmt.Sprintf("%s %q", d.Key, d.Member)
		}
		is, should := parted(d.Got, d.Want)
		c.differs("I5", what, Row{Where: where, Is: is, Should: should})
	}
}

// checkStrays finds what Redis shows and no entity accounts for. One that was
// made since it was looked for accounts for what it shows.
func (c *check) checkStrays(ctx context.Context, began time.Time, shown []views.View) error {
	if !c.deps.Scope.whole() || c.deps.Scope.Function != "" {
		return nil
	}
	strays, err := views.Strays(ctx, c.deps.Redis, c.deps.Scope.Tenant, shown)
	if err != nil || len(strays) == 0 {
		return err
	}
	known, keys := map[spot]bool{}, map[string]bool{}
	// The clocks of functions may be an hour behind.
	since := Scope{Tenant: c.deps.Scope.Tenant, Since: began.Add(-2 * time.Hour)}
	for _, fn := range c.deps.Functions {
		if err := c.items(ctx, fn, since, func(page []*item) error {
			for _, v := range all(page) {
				known[placeOf(v)], keys[views.KeyOf(v)] = true, true
			}
			return nil
		}); err != nil {
			return err
		}
	}
	var rest []views.Difference
	for _, d := range strays {
		if !known[spot{d.Key, d.Member}] && (d.Got != views.StrayKey || !keys[d.Key]) {
			rest = append(rest, d)
		}
	}
	c.differ("what Redis shows and PostgreSQL does not know", rest)
	return nil
}

// bare returns views without what they show: enough to know their keys by.
func bare(page []*item) (out []views.View) {
	for _, v := range all(page) {
		switch bare := v.(type) {
		case views.Hash:
			bare.Fields = nil
			v = bare
		case views.Recent:
			bare.Value = ""
			v = bare
		}
		out = append(out, v)
	}
	return out
}

// entityItems renders what Redis should show of a page of entities.
func entityItems(ctx context.Context, tx pgx.Tx, fn function.Definition, heads []function.Head) ([]*item, error) {
	list, _ := instances(fn, heads)
	if err := send(ctx, tx, func(b *pgx.Batch) { fn.QueueLoadViews(b, list) }); err != nil {
		return nil, err
	}
	page := make([]*item, len(list))
	for n, i := range list {
		h := i.Header()
		page[n] = &item{tenant: h.TenantID, key: h.Subject, version: h.Version, views: fn.RenderViews(i)}
	}
	return page, nil
}
