package conversation

import (
	"slices"
	"time"

	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/money"
)

// maxQueues bounds the queues that one conversation waits in over its life,
// since it is rendered in each.
const maxQueues = 50

func start(c *Conversation, e function.Event, p StartedV1, fx *function.Effects) error {
	if c.Channel != "" {
		return function.Refuse("conversation-started", "conversation %q has started already", e.Subject)
	}
	c.change(e, fx, func() { c.Channel, c.Customer = p.Channel, p.Customer })
	return nil
}

func queue(c *Conversation, e function.Event, p QueuedV1, fx *function.Effects) error {
	priority := c.Priority
	if p.Priority != nil {
		priority = *p.Priority
	}
	return c.wait(e, p.Queue, priority, fx)
}

func assign(c *Conversation, e function.Event, p AssignedV1, fx *function.Effects) error {
	if err := c.refuseClosed(e); err != nil {
		return err
	}
	c.change(e, fx, func() {
		c.leaveQueue()
		c.Agent = p.Agent
	})
	return nil
}

func transfer(c *Conversation, e function.Event, p TransferredV1, fx *function.Effects) error {
	if p.Queue != "" {
		return c.wait(e, p.Queue, c.Priority, fx)
	}
	return assign(c, e, AssignedV1{Agent: p.Agent}, fx)
}

// closeDown leaves the agent, who counts it as closed from now on.
func closeDown(c *Conversation, e function.Event, _ ClosedV1, fx *function.Effects) error {
	if err := c.refuseClosed(e); err != nil {
		return err
	}
	c.change(e, fx, func() {
		c.leaveQueue()
		c.Closed = e.Time
	})
	return nil
}

// wait puts the conversation into a queue. In the one where it waits already it
// keeps its time.
func (c *Conversation) wait(e function.Event, queue string, priority int, fx *function.Effects) error {
	if err := c.refuseClosed(e); err != nil {
		return err
	}
	known := slices.Contains(c.Queues, queue)
	if !known && len(c.Queues) >= maxQueues {
		return function.Refuse("too-many-queues", "conversation %q was in %d queues, no more are allowed", e.Subject, maxQueues)
	}
	c.change(e, fx, func() {
		if !known {
			c.Queues = append(c.Queues, queue)
		}
		if c.Queue != queue {
			c.Waiting = e.Time
		}
		c.Agent, c.Queue, c.Priority = "", queue, priority
	})
	return nil
}

func (c *Conversation) leaveQueue() { c.Queue, c.Waiting = "", time.Time{} }

func (c *Conversation) refuseClosed(e function.Event) error {
	if c.open() {
		return nil
	}
	return function.Refuse("conversation-closed", "conversation %q is closed", e.Subject)
}

// change changes the conversation, which opens it if nothing has, and adds the
// difference that this makes to the agents' counts.
func (c *Conversation) change(e function.Event, fx *function.Effects, apply func()) {
	before := c.count()
	if c.Opened.IsZero() {
		c.Opened = e.Time
	}
	apply()
	c.changed = true
	if after := c.count(); after != before {
		before.add(fx, money.MustParse("-1"))
		after.add(fx, money.MustParse("1"))
	}
}

// count is where a conversation is counted: nowhere while no agent has it.
type count struct{ agent, field string }

func (c *Conversation) count() count {
	switch {
	case c.Agent == "":
		return count{}
	case c.open():
		return count{c.Agent, "open"}
	}
	return count{c.Agent, "closed"}
}

func (n count) add(fx *function.Effects, amount money.Decimal) {
	if n.agent != "" {
		fx.Add(agentCounts, n.agent, n.field, amount)
	}
}
