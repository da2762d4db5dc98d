package views

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// entry is a view to be sent, and where its outcome goes.
type entry struct {
	ref
	view  View
	index int
}

// superseded is a view that is not sent because a later one of the same thing is.
type superseded struct{ index, by int }

// plan is what is left of views to send: only fit ones, one for each thing, those
// of a key side by side.
type plan struct {
	entries    []entry
	superseded []superseded
	unfit      []int
}

// newPlan sorts and coalesces views. Its error names the unfit ones.
func newPlan(views []View) (plan, error) {
	p := plan{entries: make([]entry, 0, len(views))}
	var errs []error
	for i, view := range views {
		ref := view.ref()
		if err := view.check(); err != nil {
			p.unfit = append(p.unfit, i)
			errs = append(errs, fmt.Errorf("views: %s %q: %w", ref.kind.name, ref.key, err))
			continue
		}
		p.entries = append(p.entries, entry{ref: ref, view: view, index: i})
	}
	slices.SortFunc(p.entries, func(a, b entry) int {
		return cmp.Or(
			strings.Compare(a.kind.name, b.kind.name),
			strings.Compare(a.key, b.key),
			strings.Compare(a.member, b.member),
			cmp.Compare(a.version, b.version),
			cmp.Compare(a.index, b.index))
	})
	p.coalesce()
	return p, errors.Join(errs...)
}

// coalesce keeps the last of those entries that are of the same thing.
func (p *plan) coalesce() {
	kept := p.entries[:0]
	for i, e := range p.entries {
		if i+1 < len(p.entries) && e.same(p.entries[i+1]) {
			last := i + 1
			for last+1 < len(p.entries) && e.same(p.entries[last+1]) {
				last++
			}
			p.superseded = append(p.superseded, superseded{index: e.index, by: p.entries[last].index})
			continue
		}
		kept = append(kept, e)
	}
	p.entries = kept
}

func (e entry) same(other entry) bool {
	return e.kind == other.kind && e.key == other.key && e.member == other.member
}

// parts cuts the entries into those of one key each, at most limit in one part.
func (p *plan) parts(limit int) [][]entry {
	var parts [][]entry
	for from := 0; from < len(p.entries); {
		to := from + 1
		for to < len(p.entries) && to-from < limit &&
			p.entries[to].kind == p.entries[from].kind && p.entries[to].key == p.entries[from].key {
			to++
		}
		parts = append(parts, p.entries[from:to])
		from = to
	}
	return parts
}
