package views

import (
	"errors"
	"fmt"
	"time"
)

const (
	// Lifetime is how long after its state was read a claim may be applied.
	// [Clock.Deadline] sets it.
	Lifetime = 5 * time.Minute
	// TombstoneTTL is how long a deletion is remembered. It is far longer than
	// Lifetime, so that a tombstone outlives every claim that it has to stop even
	// when the clocks of two Redis masters, one of which takes over from the other,
	// are more than an hour apart.
	TombstoneTTL = 2 * time.Hour
)

// A Claim says until when and as whose word views are applied.
type Claim struct {
	// Deadline is when the scripts begin to refuse the views, by the clock of the
	// Redis servers: Lifetime after the views' state was read or committed. One further
	// away than TombstoneTTL is an error.
	Deadline time.Time
	// Epoch is the database's epoch, read in the same snapshot as the state. It
	// grows whenever the database may have gone back (a failover, a restore), and a
	// greater epoch wins over any version of a lesser one. 0 to MaxVersion.
	Epoch int64
	// Rewrite writes views again whose version is already there. A rebuild sets it:
	// it also repairs what was damaged by hand, and shows what a new release renders
	// differently.
	Rewrite bool
}

func (c Claim) check() error {
	if c.Deadline.IsZero() {
		return errors.New("views: the claim has no deadline")
	}
	if c.Epoch < 0 || c.Epoch > MaxVersion {
		return fmt.Errorf("views: epoch %d is not between 0 and %d", c.Epoch, int64(MaxVersion))
	}
	return nil
}

// header appends what claim.lua reads, and the number of keys of each view's key.
func (c Claim) header(args *args, width int) {
	args.list = append(args.list, c.Deadline.UnixMilli(), c.Epoch)
	args.flag(c.Rewrite)
	args.list = append(args.list, TombstoneTTL.Milliseconds(), width)
}

// Outcome is what became of a view.
type Outcome byte

const (
	// Unknown means that no reply came: apply it again.
	Unknown Outcome = iota
	// Applied means that Redis shows this version now.
	Applied
	// Stale means that Redis shows this version or a later one already, which is as
	// good as Applied.
	Stale
	// Expired means that the deadline has passed: read the state afresh, apply that.
	Expired
	// Failed means that the view is unfit or Redis refused it: Apply's error says why.
	Failed
)

func (o Outcome) String() string {
	switch o {
	case Applied:
		return "applied"
	case Stale:
		return "stale"
	case Expired:
		return "expired"
	case Failed:
		return "failed"
	default:
		return "unknown"
	}
}

// Result says what became of each view, in the order in which they were given.
// Of several views of one thing only the latest is sent; its fate is theirs,
// except that those it stands for are Stale when it is Applied.
type Result struct {
	Outcomes []Outcome
}

// Count returns how many views had the outcome.
func (r Result) Count(outcome Outcome) int {
	n := 0
	for _, o := range r.Outcomes {
		if o == outcome {
			n++
		}
	}
	return n
}

// Settled says whether nothing of the claim is left to do.
func (r Result) Settled() bool {
	return r.Count(Applied)+r.Count(Stale) == len(r.Outcomes)
}
