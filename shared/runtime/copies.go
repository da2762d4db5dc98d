package runtime

import (
	"bytes"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
)

// copies are the stored copies of what a transaction redacts, as they are to be
// overwritten. What the transaction itself wrote is among them.
type copies struct {
	transaction *transaction
	own         map[identity]bool
	of          map[entityKey]map[function.Name]bool

	audit  []auditCopy
	parked []eventCopy
	dead   []eventCopy
}

type auditCopy struct {
	month time.Time
	entityKey
	version int64
	data    []byte
}

type eventCopy struct {
	row    *event.Event // what the columns say
	letter uuid.UUID    // of a dead letter
	digest []byte       // of what was there; nil if it cannot be read
	event  []byte
}

// masked returns e without what is confidential, or nil if it is not concerned.
func (c *copies) masked(e *event.Event) *event.Event {
	payload, _ := c.transaction.fn.Decode(e) // nil if it cannot be
	if !c.own[identity{e.TenantID, e.Source, e.ID}] &&
		!function.Concerns(e, payload, c.of[entityKey{e.TenantID, e.Subject}]) {
		return nil
	}
	return function.Masked(e, payload)
}

func (c *copies) scanAudit(rows pgx.Rows) error {
	for rows.Next() {
		e, row := &event.Event{IsJSON: true}, auditCopy{}
		if err := rows.Scan(&row.month, &e.TenantID, &e.Subject, &row.version, &e.Source, &e.ID, &e.Type, &e.Data); err != nil {
			return err
		}
		masked := c.masked(e)
		if masked == nil || bytes.Equal(masked.Data, e.Data) {
			continue
		}
		row.tenant, row.subject, row.data = e.TenantID, e.Subject, masked.Data
		if row.data == nil { // of a type that this version does not know
			row.data = []byte("{}")
		}
		c.audit = append(c.audit, row)
	}
	return rows.Err()
}

func (c *copies) scanParked(rows pgx.Rows) error {
	for rows.Next() {
		row := &event.Event{}
		var raw []byte
		if err := rows.Scan(&row.TenantID, &row.Subject, &row.Source, &row.Sequence, &row.ID, &raw); err != nil {
			return err
		}
		if o, is := c.overwrite(row, raw); is {
			c.parked = append(c.parked, o)
		}
	}
	return rows.Err()
}

func (c *copies) scanDead(rows pgx.Rows) error {
	for rows.Next() {
		row := &event.Event{}
		var id uuid.UUID
		var raw []byte
		if err := rows.Scan(&id, &row.TenantID, &row.Subject, &row.Source, &row.ID, &row.Type, &raw); err != nil {
			return err
		}
		if o, is := c.overwrite(row, raw); is {
			o.letter = id
			c.dead = append(c.dead, o)
		}
	}
	return rows.Err()
}

// overwrite says what becomes of a CloudEvent in JSON, or of the bytes in its
// place, which are judged by what the row says of them.
func (c *copies) overwrite(row *event.Event, raw []byte) (o eventCopy, is bool) {
	o.row = row
	e := event.ParseStructured(raw).Event
	if e == nil {
		e = row
		e.Data = raw
	} else {
		digest := e.Digest()
		o.digest = digest[:]
	}
	masked := c.masked(e)
	if masked == nil {
		return o, false
	}
	o.event = event.AppendJSON(nil, masked)
	return o, !bytes.Equal(o.event, raw)
}
