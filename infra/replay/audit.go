package replay

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/shared/event"
)

// Decision names a row of the audit log of a function.
type Decision struct {
	TenantID string `json:"tenant"`
	Subject  string `json:"subject"`
	Version  int64  `json:"version"`
}

// ParseDecision reads what String writes: tenant/subject@version.
func ParseDecision(text string) (Decision, error) {
	tenant, rest, _ := strings.Cut(text, "/")
	at := strings.LastIndexByte(rest, '@')
	if tenant == "" || at < 1 {
		return Decision{}, fmt.Errorf("%q is no decision: write tenant/subject@version", text)
	}
	version, err := strconv.ParseInt(rest[at+1:], 10, 64)
	if err != nil {
		return Decision{}, fmt.Errorf("%q is no decision: write tenant/subject@version", text)
	}
	return Decision{tenant, rest[:at], version}, nil
}

func (d Decision) String() string {
	return d.TenantID + "/" + d.Subject + "@" + strconv.FormatInt(d.Version, 10)
}

const (
	countDecisions = `SELECT coalesce(sum(version), 0)::bigint FROM millrace.entities WHERE function = $1`

	nextDecisions = `
SELECT tenant_id, subject, version, source, id, type, time, coalesce(sequence, 0), digest, data,
       coalesce(attributes->>'` + event.DeadLetterExtension + `', '') <> ''
FROM millrace.audit
WHERE (tenant_id, function, subject, version) > ($2, $1, $3, $4) AND function = $1
ORDER BY tenant_id, function, subject, version
LIMIT $5`
)

// audit is the source of the decisions of a function.
type audit struct {
	pool     *pgxpool.Pool
	function string
	after    *Decision
	patience time.Duration
}

func (a *audit) total(ctx context.Context) (n int64, err error) {
	return n, a.pool.QueryRow(ctx, countDecisions, a.function).Scan(&n)
}

func (a *audit) pages(ctx context.Context, rest *Rest, do func(context.Context, []delivery) error) error {
	last := Decision{}
	if a.after != nil {
		last = *a.after
	}
	rest.After = &last
	for {
		page, next, err := a.page(ctx, last)
		if err != nil || len(page) == 0 {
			return err
		}
		if err := do(ctx, page); err != nil {
			return err
		}
		last = next
	}
}

func (a *audit) page(ctx context.Context, last Decision) (page []delivery, next Decision, err error) {
	err = within(ctx, a.patience, func(ctx context.Context) error {
		page, next, err = a.read(ctx, last)
		return err
	})
	return page, next, err
}

func (a *audit) read(ctx context.Context, last Decision) (page []delivery, next Decision, err error) {
	rows, err := a.pool.Query(ctx, nextDecisions, a.function, last.TenantID, last.Subject, last.Version, chunk)
	if err != nil {
		return nil, last, err
	}
	page, err = collect(rows, func(row pgx.CollectableRow) (delivery, error) {
		e, d, digest := &event.Event{IsJSON: true, ContentType: "application/json"}, delivery{ordered: true}, []byte(nil)
		err := row.Scan(&e.TenantID, &e.Subject, &next.Version, &e.Source, &e.ID, &e.Type, &e.Time, &e.Sequence, &digest, &e.Data, &d.redriven)
		e.Time = e.Time.UTC()
		is := e.Digest()
		d.redacted = string(is[:]) != string(digest)
		d.Received = event.Received{Event: e, Raw: event.AppendJSON(nil, e)}
		next.TenantID, next.Subject = e.TenantID, e.Subject
		return d, err
	})
	return page, next, err
}
