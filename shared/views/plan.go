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
	size  size
	index int
}

// as is the view of an entry; the entry's kind says of what type.
func as[V View](e *entry) V {
	view, ok := e.view.(V)
	if !ok {
		panic(fmt.Sprintf("views: a %T among the %s views", e.view, e.kind.name))
	}
	return view
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
	p := plan{}
	var errs []error
	entries := make([]entry, 0, len(views))
	for i, view := range views {
		ref := view.ref()
		size, err := view.measure()
		if err != nil {
			p.unfit = append(p.unfit, i)
			errs = append(errs, fmt.Errorf("views: %s %q: %w", ref.kind.name, ref.key, err))
			continue
		}
		entries = append(entries, entry{ref: ref, view: view, size: size, index: i})
	}
	// Numbers are sorted, not the entries, which are large and full of pointers.
	order := make([]int32, len(entries))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return entries[a].compare(&entries[b]) })
	p.entries = make([]entry, len(entries))
	for i, from := range order {
		p.entries[i] = entries[from]
	}
	p.coalesce()
	return p, errors.Join(errs...)
}

// compare puts the views of a kind side by side, in those the views of a key, and of
// one thing the latest last.
func (e *entry) compare(other *entry) int {
	if e.kind != other.kind {
		return strings.Compare(e.kind.name, other.kind.name)
	}
	if c := strings.Compare(e.key, other.key); c != 0 {
		return c
	}
	if c := strings.Compare(e.member, other.member); c != 0 {
		return c
	}
	if c := cmp.Compare(e.version, other.version); c != 0 {
		return c
	}
	return cmp.Compare(e.index, other.index)
}

// coalesce keeps the last of those entries that are of the same thing.
func (p *plan) coalesce() {
	kept := p.entries[:0]
	for i, e := range p.entries {
		if i+1 < len(p.entries) && e.same(&p.entries[i+1]) {
			last := i + 1
			for last+1 < len(p.entries) && e.same(&p.entries[last+1]) {
				last++
			}
			p.superseded = append(p.superseded, superseded{index: e.index, by: p.entries[last].index})
			continue
		}
		kept = append(kept, e)
	}
	p.entries = kept
}

func (e *entry) same(other *entry) bool {
	return e.kind == other.kind && e.key == other.key && e.member == other.member
}

// parts cuts the entries into those of one key each, at most so many views and, if
// there are several, so many bytes in one part.
func (p *plan) parts(views, bytes int) [][]entry {
	var parts [][]entry
	for from := 0; from < len(p.entries); {
		first := &p.entries[from]
		to, sum := from+1, first.size.bytes
		for to < len(p.entries) && to-from < views {
			next := &p.entries[to]
			if sum += next.size.bytes; next.kind != first.kind || next.key != first.key || sum > bytes {
				break
			}
			to++
		}
		parts = append(parts, p.entries[from:to])
		from = to
	}
	return parts
}
