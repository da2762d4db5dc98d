package relay

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/shared/function"
)

const (
	// countLimit is how many rows of a table are counted.
	countLimit = 100_000
	// fresh is for how long an answer of the database is good: two relays, and
	// whoever asks them often, cost no more than one.
	fresh = 10 * time.Second
	// backlogTimeout leaves a scrape its time for the other metrics.
	backlogTimeout = 3 * time.Second
)

const (
	countOutbox = `
SELECT function, '', count(*), extract(epoch FROM now() - min(created_at))::float8
FROM (SELECT function, created_at FROM millrace.outbox ORDER BY id LIMIT $1) AS rows
GROUP BY function`

	countParked = `
SELECT function, '', count(*), extract(epoch FROM now() - (
    SELECT min(p.parked_at) FROM millrace.parked AS p WHERE p.function = rows.function))::float8
FROM (SELECT function FROM millrace.parked LIMIT $1) AS rows
GROUP BY function`

	countDeadLetters = `
SELECT function, kind, count(*), 0::float8
FROM (SELECT function, kind FROM millrace.dead_letters WHERE state = 'open' LIMIT $1) AS rows
GROUP BY function, kind`

	// Since the last word of an operator: who redrives again begins anew.
	countRedriving = `
SELECT function, '', count(*), extract(epoch FROM now() - min(since))::float8
FROM (
    SELECT d.function, coalesce((SELECT max(o.done_at) FROM millrace.operations AS o WHERE o.dead_letter = d.id), d.created_at) AS since
    FROM millrace.dead_letters AS d
    WHERE d.state = 'redriving'
    LIMIT $1
) AS rows
GROUP BY function`
)

// backlog tells what lies in the database and should not for long: it is read
// when somebody asks for the metrics, up to a limit, by the relay alone. All
// relays say the same.
type backlog struct {
	pool      *pgxpool.Pool
	functions []string

	mu      sync.Mutex
	read    time.Time
	metrics []prometheus.Metric
}

func newBacklog(pool *pgxpool.Pool, functions []function.Definition) *backlog {
	b := &backlog{pool: pool}
	for _, fn := range functions {
		b.functions = append(b.functions, fn.FunctionName())
	}
	return b
}

var (
	databaseUp = prometheus.NewDesc("millrace_database_up", "1 if the relay could read the database just now.", nil, nil)
	outboxRows = prometheus.NewDesc("millrace_outbox_rows",
		"Rows in the outbox, of at most 100,000 that are counted.", []string{"function"}, nil)
	outboxOldest = prometheus.NewDesc("millrace_outbox_oldest_seconds",
		"Age of the oldest row in the outbox.", []string{"function"}, nil)
	parkedEvents = prometheus.NewDesc("millrace_parked_events",
		"Events that wait for an earlier one of their stream, of at most 100,000 that are counted.", []string{"function"}, nil)
	parkedOldest = prometheus.NewDesc("millrace_parked_oldest_seconds",
		"For how long the event waits that was parked first.", []string{"function"}, nil)
	openDeadLetters = prometheus.NewDesc("millrace_open_dead_letters",
		"Dead letters that nobody redrove or dropped, of at most 100,000 that are counted, by kind: undecided or refused.", []string{"function", "kind"}, nil)
	redrivingLetters = prometheus.NewDesc("millrace_redriving_dead_letters",
		"Dead letters that were redriven and are not decided yet, of at most 100,000 that are counted.", []string{"function"}, nil)
	redrivingOldest = prometheus.NewDesc("millrace_redriving_oldest_seconds",
		"How long ago the first of these was redriven.", []string{"function"}, nil)
	defaultUsed = prometheus.NewDesc("millrace_default_partition_used",
		"1 if a table has rows of a month that no partition was made for.", []string{"table"}, nil)
	monthsAhead = prometheus.NewDesc("millrace_months_ahead",
		"How many months after this one a table has partitions for, of at most 12 that are counted; -1: not even for this one.", []string{"table"}, nil)
)

// Describe implements prometheus.Collector.
func (b *backlog) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{databaseUp, outboxRows, outboxOldest, parkedEvents, parkedOldest, openDeadLetters, redrivingLetters, redrivingOldest, defaultUsed, monthsAhead} {
		out <- d
	}
}

// Collect implements prometheus.Collector. While the database does not answer
// nothing is told but that.
func (b *backlog) Collect(out chan<- prometheus.Metric) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.read) > fresh {
		b.metrics = b.ask()
		b.read = time.Now()
	}
	for _, m := range b.metrics {
		out <- m
	}
}

func (b *backlog) ask() []prometheus.Metric {
	ctx, cancel := context.WithTimeout(context.Background(), backlogTimeout)
	defer cancel()
	counts, err := b.counts(ctx)
	if err != nil {
		return []prometheus.Metric{gauge(databaseUp, 0)}
	}
	used, err := b.defaults(ctx)
	if err != nil {
		return []prometheus.Metric{gauge(databaseUp, 0)}
	}
	months, err := b.months(ctx)
	if err != nil {
		return []prometheus.Metric{gauge(databaseUp, 0)}
	}
	return append(slices.Concat(counts, used, months), gauge(databaseUp, 1))
}

func gauge(desc *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

// count is what a query found of a function, and of one kind.
type count struct {
	rows   int64
	oldest float64 // seconds
}

type counted struct{ function, kind string }

func (b *backlog) counts(ctx context.Context) ([]prometheus.Metric, error) {
	outbox, parked, letters, redriving := map[counted]count{}, map[counted]count{}, map[counted]count{}, map[counted]count{}
	batch := &pgx.Batch{}
	batch.Queue(countOutbox, countLimit).Query(scanInto(outbox))
	batch.Queue(countParked, countLimit).Query(scanInto(parked))
	batch.Queue(countDeadLetters, countLimit).Query(scanInto(letters))
	batch.Queue(countRedriving, countLimit).Query(scanInto(redriving))
	if err := b.pool.SendBatch(ctx, batch).Close(); err != nil {
		return nil, err
	}
	var metrics []prometheus.Metric
	for _, name := range b.functions {
		of := counted{function: name}
		o, p, r := outbox[of], parked[of], redriving[of]
		metrics = append(metrics,
			gauge(outboxRows, float64(o.rows), name), gauge(outboxOldest, max(0, o.oldest), name),
			gauge(parkedEvents, float64(p.rows), name), gauge(parkedOldest, max(0, p.oldest), name),
			gauge(redrivingLetters, float64(r.rows), name), gauge(redrivingOldest, max(0, r.oldest), name))
		for _, kind := range []string{"undecided", "refused"} {
			metrics = append(metrics, gauge(openDeadLetters, float64(letters[counted{name, kind}].rows), name, kind))
		}
	}
	return metrics, nil
}

func scanInto(counts map[counted]count) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		var of counted
		var n count
		_, err := pgx.ForEachRow(rows, []any{&of.function, &of.kind, &n.rows, &n.oldest}, func() error {
			counts[of] = n
			return nil
		})
		return err
	}
}
