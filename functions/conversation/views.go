package conversation

import (
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/views"
)

// render shows the conversation among the tenant's active ones, by when it was
// opened, and in the queue where it waits; and that it is in none of its former
// ones.
func render(e *function.Entity[Conversation]) []views.View {
	c := &e.State
	list := []views.View{views.Member{
		Key: views.Key(e.TenantID, "active-conversations"), Member: e.Subject, Version: e.Version,
		Score: float64(c.Opened.Unix()), Present: c.open(),
	}}
	for _, queue := range c.Queues {
		list = append(list, views.Member{
			Key: views.Key(e.TenantID, "waiting", queue), Member: e.Subject, Version: e.Version,
			Score: c.turn(), Present: queue == c.Queue,
		})
	}
	return list
}

// class keeps priorities apart in the scores of a queue: milliseconds since
// 1970 stay below it until the year 2286, and the sum is exact in a double.
const class = 1e13

// turn is the conversation's place in its queue: the lowest is next. That is the
// one with the highest priority, and among those the one that waits longest.
func (c *Conversation) turn() float64 {
	return float64(maxPriority-c.Priority)*class + float64(c.Waiting.UnixMilli())
}

// renderCounts shows how many conversations an agent has and closed, and the
// agent's place among those who closed any.
func renderCounts(a function.Aggregate) []views.View {
	open, closed := a.Fields["open"], a.Fields["closed"]
	return []views.View{
		views.Hash{
			Key: views.Key(a.TenantID, "agent-counts", a.Key), Version: a.Version,
			Fields: map[string]string{"open": open.String(), "closed": closed.String()},
		},
		views.Member{
			Key: views.Key(a.TenantID, "leaderboard"), Member: a.Key, Version: a.Version,
			Score: closed.Float64(), Present: closed.Sign() > 0,
		},
	}
}
