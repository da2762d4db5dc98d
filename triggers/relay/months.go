package relay

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// From the names of what is part of each table now: it reads the catalogue.
	countMonths = `
SELECT m.name, coalesce(min(n), 13) - 1
FROM millrace.monthly_tables AS m
LEFT JOIN generate_series(0, 12) AS n ON NOT EXISTS (
    SELECT FROM pg_inherits AS i
    JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = to_regclass(format('millrace.%I', m.name))
      AND c.relname = m.name || to_char(date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => n), '_YYYY_MM'))
GROUP BY m.name`

	// A query cannot take the name of its table from a row, so one is made for
	// all the default partitions that there are.
	findDefaults = `
SELECT string_agg(format('SELECT %L, EXISTS (SELECT FROM millrace.%I)', name, name || '_default'), ' UNION ALL ' ORDER BY name)
FROM millrace.monthly_tables`
)

func (b *backlog) months(ctx context.Context) (metrics []prometheus.Metric, err error) {
	rows, err := b.pool.Query(ctx, countMonths)
	if err != nil {
		return nil, err
	}
	var table string
	var ahead int
	_, err = pgx.ForEachRow(rows, []any{&table, &ahead}, func() error {
		metrics = append(metrics, gauge(monthsAhead, float64(ahead), table))
		return nil
	})
	return metrics, err
}

func (b *backlog) defaults(ctx context.Context) ([]prometheus.Metric, error) {
	var query string
	if err := b.pool.QueryRow(ctx, findDefaults).Scan(&query); err != nil {
		return nil, err
	}
	rows, err := b.pool.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	var metrics []prometheus.Metric
	var table string
	var used bool
	_, err = pgx.ForEachRow(rows, []any{&table, &used}, func() error {
		var value float64
		if used {
			value = 1
		}
		metrics = append(metrics, gauge(defaultUsed, value, table))
		return nil
	})
	return metrics, err
}
