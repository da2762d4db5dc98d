package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/fault"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/money"
	"github.com/millrace/millrace/shared/outbox"
	"github.com/millrace/millrace/shared/postgres"
)

// transaction is one attempt to decide a batch. It takes two round trips: one
// that locks and reads, one that writes and commits; and more where parked events
// come in, dead letters are counted or an event is redacted.
type transaction struct {
	fn function.Definition
	privacy
	limits limits
	made   *made
	bucket int       // of the aggregates that this transaction adds to
	now    time.Time // fixed once
	log    *slog.Logger
	batch  []*candidate
	drains []streamKey
	poison map[identity]*event.Invalid

	entityKeys []entityKey // sorted
	entities   map[entityKey]function.Instance
	locked     int
	known      known
	redacted   map[entityKey]map[function.Name]bool // by earlier transactions, of entities that have any
	letters    map[uuid.UUID]*deadLetter            // that events of the batch say they are

	decisions  []decision
	redactions []redaction // by this one
	deltas     map[deltaKey]money.Decimal
	claim      outbox.Claim
	committed  bool
}

// decision is an event with what the rules say about it.
type decision struct {
	*candidate
	outcome Outcome
}

type deltaKey struct{ tenant, name, key, field string }

// overLimitError names the events that may not become dead letters, since their
// tenants have too many already.
type overLimitError struct{ events map[*candidate]bool }

func (e *overLimitError) Error() string { return "too many open dead letters" }

// fail takes the events out of batch. Their requests fail in such a way that
// the trigger puts them, alone, into the published dead-letter topic.
func (e *overLimitError) fail(batch []*candidate) (rest []*candidate) {
	for _, c := range batch {
		if !e.events[c] {
			rest = append(rest, c)
			continue
		}
		c.failed = fault.New(fault.Unprocessable,
			"an event cannot be decided, and tenant %q has too many open dead letters to keep one more", tenantOf(c))
	}
	return rest
}

// poisoned says which events the rules broke on.
type poisoned struct{ burials []burial }

func (p *poisoned) Error() string { return p.burials[0].why.Error() }

func (t *transaction) prepare() {
	t.known = known{seen: map[identity]*seenRow{}, streams: map[streamKey]*streamRow{}, parkedOf: map[string]int{}}
	t.entities = map[entityKey]function.Instance{}
	t.deltas = map[deltaKey]money.Decimal{}
	t.letters = map[uuid.UUID]*deadLetter{}
	t.redacted = map[entityKey]map[function.Name]bool{}
	for _, c := range t.batch {
		switch {
		case c.invalid == nil:
			t.addPending(c)
		case t.confidential && c.identified():
			t.entity(c.entity()) // the lock keeps a redaction from missing the dead letter
		}
	}
	for _, key := range t.drains {
		t.entity(key.entityKey)
	}
	for key := range t.entities {
		t.entityKeys = append(t.entityKeys, key)
	}
	slices.SortFunc(t.entityKeys, compareEntities)
}

func (t *transaction) entity(key entityKey) function.Instance {
	i := t.entities[key]
	if i == nil {
		i = t.fn.NewEntity(function.Head{TenantID: key.tenant, Subject: key.subject})
		t.entities[key] = i
	}
	return i
}

func (t *transaction) addPending(c *candidate) {
	head := t.entity(c.entity()).Header()
	head.Pending = append(head.Pending, function.Pending{Event: c.event, Payload: c.payload})
}

// run runs the transaction on a connection of the pool. On an error nothing
// of it took effect, or, if the reply to the commit was lost, all of it did:
// the caller runs the batch again, and finds out.
func (t *transaction) run(ctx context.Context, pool *pgxpool.Pool) (p *plan, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &crashed{r, string(debug.Stack())}
		}
	}()
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("getting a connection: %w", err)
	}
	defer release(ctx, conn)
	if p, err = t.read(ctx, conn); err != nil {
		return nil, err
	}
	if err := t.checkDeadLetters(ctx, conn, p); err != nil {
		return nil, err
	}
	if err := t.decide(p); err != nil {
		return nil, err
	}
	return p, t.write(ctx, conn, p)
}

// release gives a connection back. If it is left inside a transaction and can
// not be rolled back, the pool closes it, and PostgreSQL rolls back.
func release(ctx context.Context, conn *pgxpool.Conn) {
	if conn.Conn().PgConn().TxStatus() != 'I' {
		_, _ = conn.Exec(ctx, "ROLLBACK") // as above
	}
	conn.Release()
}

const prepared = "SELECT " + postgres.LockSettings + ", " + postgres.PlanSettings

func (t *transaction) read(ctx context.Context, conn *pgxpool.Conn) (*plan, error) {
	t.prepare()
	b := &pgx.Batch{}
	b.Queue("BEGIN")
	b.Queue(prepared)
	t.queueRead(b)
	if len(t.entityKeys) > 0 {
		t.fn.QueueLoad(b, t.instances())
	}
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("locking and reading: %w", err)
	}
	if t.locked != len(t.entityKeys) {
		t.made.forget()
		return nil, fmt.Errorf("locking and reading: %d of %d entities are there", t.locked, len(t.entityKeys))
	}
	t.recognise()
	if err := t.hide(ctx, conn); err != nil {
		return nil, err
	}
	p := makePlan(t.batch, t.drains, &t.known, t.limits)
	b = &pgx.Batch{}
	t.queueReadParked(b, p)
	if b.Len() == 0 {
		return p, nil
	}
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("reading parked events: %w", err)
	}
	p = makePlan(t.batch, t.drains, &t.known, t.limits)
	return p, t.loadDrained(ctx, conn, p)
}

// loadDrained loads what deciding the drained events needs.
func (t *transaction) loadDrained(ctx context.Context, conn *pgxpool.Conn, p *plan) error {
	for _, i := range t.entities {
		i.Header().Pending = nil
	}
	touched := map[entityKey]bool{}
	for _, c := range p.decide {
		if c.fromDB {
			t.addPending(c)
			touched[c.entity()] = true
		}
	}
	if len(touched) == 0 {
		return nil
	}
	b := &pgx.Batch{}
	t.fn.QueueLoad(b, t.instancesIn(touched))
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("loading for parked events: %w", err)
	}
	return nil
}

// checkDeadLetters holds tenants to their limit. What was parked, or is a dead
// letter already, is bounded.
func (t *transaction) checkDeadLetters(ctx context.Context, conn *pgxpool.Conn, p *plan) error {
	tenants := map[string]int{}
	for _, d := range p.dead {
		if d.letter == nil {
			tenants[tenantOf(d.candidate)] = 0
		}
	}
	if len(tenants) == 0 {
		return nil
	}
	b := &pgx.Batch{}
	b.Queue(countDead, slices.Sorted(maps.Keys(tenants)), t.limits.dead).Query(scanCounts(tenants))
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("counting dead letters: %w", err)
	}
	over := map[*candidate]bool{}
	for _, d := range p.dead {
		if !d.fromDB && d.letter == nil && tenants[tenantOf(d.candidate)] >= t.limits.dead {
			over[d.candidate] = true
		}
	}
	if len(over) > 0 {
		return &overLimitError{over}
	}
	return nil
}

// tenantOf returns the tenant of an event, or "" where it could not be read.
func tenantOf(c *candidate) string {
	switch {
	case c.event == nil:
		return ""
	case c.storable():
		return c.event.TenantID
	default:
		return storableText(c.event.TenantID)
	}
}

// decide applies the rules in the planned order. Where they break, it goes on
// with other entities, to find all such events at once.
func (t *transaction) decide(p *plan) error {
	broken := &poisoned{}
	skip := map[entityKey]bool{}
	for _, c := range p.decide {
		if skip[c.entity()] {
			continue
		}
		outcome, why := t.decideOne(c)
		if why != nil {
			t.log.Error("a rule failed", "type", c.event.Type, "id", c.event.ID, "error", why, "stack", stackOf(why))
			broken.burials = append(broken.burials, burial{c, event.Invalidf(ruleFailed, "%v", why)})
			skip[c.entity()] = true
			continue
		}
		t.decisions = append(t.decisions, decision{c, outcome})
	}
	if len(broken.burials) > 0 {
		return broken
	}
	return nil
}

func (t *transaction) decideOne(c *candidate) (o Outcome, why error) {
	defer func() {
		if r := recover(); r != nil {
			why = &crashed{r, string(debug.Stack())}
		}
	}()
	i := t.entities[c.entity()]
	fx, err := t.fn.Decide(i, c.event, c.payload)
	o = Outcome{Kind: Applied, Version: i.Header().Version}
	if refusal, ok := errors.AsType[*function.Refusal](err); ok {
		o.Kind, o.Reason, o.Detail = Refused, refusal.Reason, refusal.Detail
	} else if err != nil {
		return o, err
	}
	t.sign(fx.Emitted, c.event, o.Version)
	t.claim.Emitted = append(t.claim.Emitted, fx.Emitted...)
	for _, name := range fx.Redacted {
		t.redactions = append(t.redactions, redaction{c.entity(), name, o.Version})
	}
	for _, d := range fx.Deltas {
		key := deltaKey{d.TenantID, d.Name, d.Key, d.Field}
		t.deltas[key] = t.deltas[key].Add(d.Amount)
	}
	return o, nil
}

// write writes everything and commits.
func (t *transaction) write(ctx context.Context, conn *pgxpool.Conn, p *plan) error {
	b := &pgx.Batch{}
	if err := t.queueWrite(b, p); err != nil {
		return err
	}
	if len(t.redactions) > 0 {
		var err error
		if b, err = t.redact(ctx, conn, b); err != nil {
			return err
		}
	}
	if err := t.queueTelling(b); err != nil {
		return err
	}
	// Where there are nothing but repeats it commits too, having locked something:
	// a commit waits until a synchronous standby has all that was visible here. A
	// transaction whose own wait was broken off, by a deadline or a restart, is
	// visible without that, and its events must not be acknowledged yet.
	if t.locked == 0 && b.Len() == 0 { // repeats that this version cannot read
		tenants, sources, ids := t.identities()
		b.Queue(lockSeen, tenants, sources, ids)
	}
	b.Queue("COMMIT").Exec(func(tag pgconn.CommandTag) error {
		// An aborted transaction answers COMMIT with ROLLBACK.
		t.committed = tag.String() == "COMMIT"
		return nil
	})
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("writing and committing: %w", err)
	}
	if !t.committed {
		return errors.New("writing and committing: PostgreSQL rolled the transaction back")
	}
	return nil
}

func (t *transaction) instances() []function.Instance {
	all := make([]function.Instance, len(t.entityKeys))
	for n, key := range t.entityKeys {
		all[n] = t.entities[key]
	}
	return all
}

func (t *transaction) instancesIn(keys map[entityKey]bool) []function.Instance {
	var some []function.Instance
	for _, key := range t.entityKeys {
		if keys[key] {
			some = append(some, t.entities[key])
		}
	}
	return some
}

// streamKeys returns the streams that the batch has events of.
func (t *transaction) streamKeys() []streamKey {
	keys := slices.Clone(t.drains)
	known := map[streamKey]bool{}
	for _, c := range t.batch {
		if c.invalid == nil && c.event.Sequence > 0 && !known[c.stream()] {
			known[c.stream()] = true
			keys = append(keys, c.stream())
		}
	}
	return keys
}

// identities returns the identities of the batch's events, as columns.
func (t *transaction) identities() (tenants, sources, ids []string) {
	for _, c := range t.batch {
		if c.identified() {
			tenants = append(tenants, c.event.TenantID)
			sources = append(sources, c.event.Source)
			ids = append(ids, c.event.ID)
		}
	}
	return tenants, sources, ids
}
