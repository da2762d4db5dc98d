package replay

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/infra/invariants"
	"github.com/millrace/millrace/infra/migrations"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/postgres"
	"github.com/millrace/millrace/shared/runtime"
)

// shadow is a database of its own on the server of the live one.
type shadow struct {
	live, name string
	pool       *pgxpool.Pool
}

// makeShadow makes one. A crash leaves it there, under a name that says what it
// is.
func makeShadow(ctx context.Context, live string, patience time.Duration) (s *shadow, err error) {
	s = &shadow{live: live, name: fmt.Sprintf("millrace_shadow_%s_%d", time.Now().UTC().Format("20060102_150405"), os.Getpid())}
	if err := s.execute(ctx, "CREATE DATABASE "+s.name+" TEMPLATE template0"); err != nil {
		return nil, fmt.Errorf("making a shadow database: %s", postgres.Redact(err.Error()))
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(context.WithoutCancel(ctx), patience, false))
		}
	}()
	at := withDatabase(live, s.name)
	if err := migrations.Up(ctx, at); err != nil {
		return s, err
	}
	config, err := pgxpool.ParseConfig(at)
	if err != nil {
		return s, errors.New("the shadow's URL: " + postgres.Redact(err.Error()))
	}
	config.MaxConns = 4
	config.ConnConfig.RuntimeParams["synchronous_commit"] = "off" // it can be made again
	s.pool, err = pgxpool.NewWithConfig(ctx, config)
	return s, err
}

// withDatabase names another database of the same server.
func withDatabase(live, name string) string {
	if u, err := url.Parse(live); err == nil && strings.HasPrefix(u.Scheme, "postgres") {
		u.Path = "/" + name
		return u.String()
	}
	return live + " dbname=" + name // the last word counts
}

func (s *shadow) execute(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.live)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

// close drops it, unless it is kept. It does not end when the replay is stopped,
// but after patience.
func (s *shadow) close(ctx context.Context, patience time.Duration, keep bool) error {
	if s.pool != nil {
		s.pool.Close()
	}
	if keep {
		return nil
	}
	if err := within(ctx, patience, func(ctx context.Context) error {
		return s.execute(ctx, "DROP DATABASE "+s.name+" WITH (FORCE)")
	}); err != nil {
		return fmt.Errorf("dropping the shadow database %s: %s", s.name, postgres.Redact(err.Error()))
	}
	return nil
}

const askRedrive = `
UPDATE millrace.dead_letters
SET state = 'redriving'
WHERE function = $1 AND tenant_id = $2 AND source = $3 AND event_id = $4 AND kind = 'refused' AND state = 'open'
RETURNING id::text`

// intoShadow delivers events to an empty database. Where they are in the order of
// their live decisions, streams need not guard it once more: gaps that an operator
// skipped stay no gaps.
func (d *deliverer) intoShadow(ctx context.Context, part []delivery) error {
	var open []event.Received
	flush := func() error {
		if len(open) == 0 {
			return nil
		}
		err := d.process(ctx, open, make([]invariants.Fate, len(open)))
		open = open[:0]
		return err
	}
	lost, err := d.notEmitted(ctx, part)
	if err != nil {
		return err
	}
	for _, one := range part {
		switch {
		case one.unreadable():
			d.result.Unreadable++
			continue
		case lost[one.Event]:
			d.result.DeadLetters++
			continue
		}
		// Which decision of the shadow emitted it, it does not say.
		delete(one.Event.Extensions, event.DecisionExtension)
		if one.ordered && !one.Event.Emitted() {
			one.Event.Sequence = 0
			one.Raw = event.AppendJSON(nil, one.Event) // a dead letter of it is without a sequence too
		}
		if one.redriven {
			if err := flush(); err != nil {
				return err
			}
			if err := within(ctx, d.Patience, func(ctx context.Context) error { return d.redrive(ctx, one.Event) }); err != nil {
				return err
			}
		}
		open = append(open, one.Received)
	}
	return flush()
}

// notEmitted returns the events that say they were emitted by a decision which the
// live system does not have: it did not decide them either.
func (d *deliverer) notEmitted(ctx context.Context, part []delivery) (lost map[*event.Event]bool, err error) {
	var events []*event.Event
	for n := range part {
		if !part[n].unreadable() {
			events = append(events, part[n].Event)
		}
	}
	err = within(ctx, d.Patience, func(ctx context.Context) (err error) {
		lost, err = runtime.NotEmitted(ctx, d.Pool, events)
		return err
	})
	return lost, err
}

// redrive asks for another decision of what the rules refused, as an operator
// does. What was not refused is known, and stays as it is.
func (d *deliverer) redrive(ctx context.Context, e *event.Event) error {
	rows, err := d.target.Query(ctx, askRedrive, d.fn.FunctionName(), e.TenantID, e.Source, e.ID)
	if err != nil {
		return err
	}
	letters, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(letters) == 0 {
		return err
	}
	delete(e.Extensions, event.DeadLetterExtension) // of the live one
	return e.SetAttribute(event.DeadLetterExtension, letters[0])
}
