package outbox

import "github.com/millrace/millrace/shared/views"

// item is what views are of: an entity of a function, or, if name is set, one
// of its aggregates.
type item struct{ function, tenant, name, key string }

func entityItem(function string, e Entity) item {
	return item{function: function, tenant: e.TenantID, key: e.Subject}
}

func aggregateItem(function string, a Aggregate) item {
	return item{function: function, tenant: a.TenantID, name: a.Name, key: a.Key}
}

// items returns what the claim has to show.
func (w *work) items() []item {
	items := make([]item, 0, len(w.Entities)+len(w.Aggregates))
	for _, e := range w.Entities {
		items = append(items, entityItem(w.Function, e))
	}
	for _, a := range w.Aggregates {
		items = append(items, aggregateItem(w.Function, a))
	}
	return items
}

// sheet is views of one epoch that go to Redis together, each with the place
// in owners of what it belongs to.
type sheet struct {
	epoch  epoch
	claim  views.Claim
	views  []views.View
	owner  []int
	owners []owner
}

// owner is what views are shown for: a claim whose views are known, or an
// item that was read.
type owner struct {
	work *work
	item item
}

func (s *sheet) add(o owner, rendered []views.View) {
	s.owners = append(s.owners, o)
	for _, v := range rendered {
		s.views = append(s.views, v)
		s.owner = append(s.owner, len(s.owners)-1)
	}
}

// merge adds a sheet to the one of its epoch, if there is one. The earlier
// deadline holds for both.
func merge(sheets []*sheet, more *sheet) []*sheet {
	for _, s := range sheets {
		if s.epoch != more.epoch {
			continue
		}
		if more.claim.Deadline.Before(s.claim.Deadline) {
			s.claim.Deadline = more.claim.Deadline
		}
		for _, n := range more.owner {
			s.owner = append(s.owner, len(s.owners)+n)
		}
		s.owners = append(s.owners, more.owners...)
		s.views = append(s.views, more.views...)
		return sheets
	}
	return append(sheets, more)
}

// outcomes returns what became of each owner: the worst of its views.
func (s *sheet) outcomes(result views.Result) []views.Outcome {
	worst := make([]views.Outcome, len(s.owners))
	for n := range worst {
		worst[n] = views.Stale // nothing to show is as good as shown
	}
	for n, outcome := range result.Outcomes {
		if severity(outcome) > severity(worst[s.owner[n]]) {
			worst[s.owner[n]] = outcome
		}
	}
	return worst
}

func severity(o views.Outcome) int {
	switch o {
	case views.Applied, views.Stale:
		return 0
	case views.Expired:
		return 1
	case views.Unknown:
		return 2
	default: // Failed: another try will not help
		return 3
	}
}
