package views

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// pipe is what calls and reads are queued in.
type pipe = redis.Pipeliner

// Apply sends views to Redis and says what became of each. Views may be of any
// kinds and keys, in any order; of several of one thing, the latest is sent.
//
// An error means that some views are Unknown (the connection or the server failed;
// apply the claim again, as often as needed) or Failed. All others are settled
// whatever the error.
func Apply(ctx context.Context, client redis.UniversalClient, views []View, claim Claim) (Result, error) {
	result := Result{Outcomes: make([]Outcome, len(views))}
	if len(views) == 0 {
		return result, nil
	}
	if err := claim.check(); err != nil {
		return result, err
	}
	plan, err := newPlan(views)
	errs := []error{err}
	for _, i := range plan.unfit {
		result.Outcomes[i] = Failed
	}
	for _, calls := range pipelines(cut(plan, claim, oneKeyACall(client))) {
		errs = append(errs, run(ctx, client, calls, result.Outcomes))
	}
	for _, s := range plan.superseded {
		result.Outcomes[s.index] = result.Outcomes[s.by]
		if result.Outcomes[s.by] == Applied {
			result.Outcomes[s.index] = Stale
		}
	}
	return result, errors.Join(errs...)
}

// oneKeyACall says whether a script may touch one slot only. A single server takes
// the keys of many views in one call, which costs half as much.
func oneKeyACall(client redis.UniversalClient) bool {
	_, single := client.(*redis.Client)
	return !single
}

// cut makes script calls of a plan.
func cut(p plan, claim Claim, oneKey bool) []*call {
	var calls []*call
	var last *call
	for _, part := range p.parts(callViews, callBytes) {
		size := sizeOf(part)
		if last == nil || oneKey || !last.takes(part, size) {
			last = &call{kind: part[0].kind, claim: claim}
			calls = append(calls, last)
		}
		last.add(part, size)
	}
	return calls
}

// sizeOf is the size of a part with its key.
func sizeOf(part []entry) size {
	sum := size{args: 3, bytes: len(part[0].key)}
	for i := range part {
		sum.args += part[i].size.args
		sum.bytes += part[i].size.bytes
	}
	return sum
}

// pipelines groups calls into those that are sent before their replies are read.
func pipelines(calls []*call) [][]*call {
	var groups [][]*call
	from, views, bytes := 0, 0, 0
	for i, c := range calls {
		if i > from && (views+c.views > pipelineViews || bytes+c.size.bytes > pipelineBytes) {
			groups = append(groups, calls[from:i])
			from, views, bytes = i, 0, 0
		}
		views += c.views
		bytes += c.size.bytes
	}
	return append(groups, calls[from:])
}

// run sends calls by their script's name, and again in full those whose server
// does not know it: one that was restarted or flushed of its scripts, or that took
// over a slot.
func run(ctx context.Context, client redis.UniversalClient, calls []*call, outcomes []Outcome) error {
	var errs []error
	for _, whole := range []bool{false, true} {
		if len(calls) == 0 {
			break
		}
		pipe := client.Pipeline()
		commands := make([]*redis.Cmd, len(calls))
		for i, c := range calls {
			commands[i] = c.command(ctx, whole)
			// Process only queues; what becomes of the command is in the command.
			_ = pipe.Process(ctx, commands[i])
		}
		_, _ = pipe.Exec(ctx)
		var unknown []*call
		for i, cmd := range commands {
			if !whole && redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
				unknown = append(unknown, calls[i])
				continue
			}
			errs = append(errs, calls[i].settle(cmd, outcomes))
		}
		calls = unknown
	}
	return errors.Join(errs...)
}
