package invariants

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/records"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/shared/function"
)

// Deps is what is checked. Pool needs two connections.
type Deps struct {
	Pool      *pgxpool.Pool
	Redis     redis.UniversalClient
	Brokers   []string
	Functions []function.Definition
	// ConsumerGroups names the group that reads each topic.
	ConsumerGroups map[string]string
	// Sent are sends that were acknowledged, if the caller kept account of them;
	// nil: what Kafka has is all that is known of.
	Sent iter.Seq[Sent]
	// Live says that work goes on. What is on its way is then no fault.
	Live bool
	// Rows is how many rows of each fault the report shows; 0: 10.
	Rows int

	// Patience is for how long a check at work waits until Redis shows what was
	// decided. If it does not by then, that is a difference; with 0 it is none.
	Patience time.Duration
	// Scope limits what Verify looks at, and Progress hears how far it is.
	Scope    Scope
	Progress func(Progress)
	// Audit is the database whose audit log Verify folds, if it is not that of
	// Pool: up to the versions that the entities have in Pool.
	Audit *pgxpool.Pool
}

func (d *Deps) cluster() records.Cluster { return records.Cluster{Brokers: d.Brokers} }

// Sent is an acknowledged send: a record in Kafka, an identity, or both.
type Sent struct {
	Topic                string // empty: only the identity is known
	Partition            int32
	Offset               int64
	TenantID, Source, ID string // ID empty: only the record is known
}

// check is one call of Check or Verify.
type check struct {
	deps        Deps
	report      Report
	client      *kgo.Client
	admin       *kadm.Client
	done, total int64 // of progress
}

func newCheck(deps Deps) *check {
	if deps.Rows == 0 {
		deps.Rows = 10
	}
	return &check{deps: deps}
}

// Check says which invariants are broken. Its error means that it could not
// look: then the report says nothing of what is missing in it.
//
// A crash of it leaves nothing behind.
func Check(ctx context.Context, deps Deps) (Report, error) {
	c := newCheck(deps)
	for _, topic := range c.topics() {
		if deps.ConsumerGroups[topic] == "" {
			return c.report, fmt.Errorf("checking invariants: no consumer group is named for %s", topic)
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(deps.Brokers...))
	if err != nil {
		return c.report, fmt.Errorf("checking invariants: %w", err)
	}
	defer client.Close()
	c.client, c.admin = client, kadm.NewClient(client)
	e := newEmissions(c)
	return c.run(ctx, "checking invariants", []part{
		{"holding Kafka against the effects", c.checkArrival},
		{"querying the tables", c.checkTables},
		{"folding the audit log", func(ctx context.Context) error { return c.checkFolds(ctx, e.add) }},
		{"following emitted events", e.finish},
		{"following emitted streams", c.checkEmittedStreams},
		{"comparing Redis", c.checkShown},
	})
}

// part is one thing that is checked.
type part struct {
	doing string
	do    func(context.Context) error
}

func (c *check) run(ctx context.Context, doing string, parts []part) (Report, error) {
	for _, part := range parts {
		if err := part.do(ctx); err != nil {
			return c.report, fmt.Errorf("%s: %s: %w", doing, part.doing, err)
		}
	}
	slices.SortStableFunc(c.report.Broken, func(a, b Broken) int { return strings.Compare(a.Invariant, b.Invariant) })
	return c.report, nil
}

func (c *check) topics() []string {
	all := make([]string, len(c.deps.Functions))
	for i, fn := range c.deps.Functions {
		all[i] = topics.Events(fn.FunctionName())
	}
	return all
}
