package message

import (
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
)

const (
	columns = `
    m.tenant_id, m.conversation, m.source, m.id, m.author, m.text, to_json(m.attachments), m.details, m.state,
    m.sent_at, m.number, m.version`

	// Whatever month they were sent in, which the event does not say: it looks
	// into the index of every month. Edits and redactions are rare.
	selectNamed = `
SELECT` + columns + `
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS batch (tenant_id, conversation, source, id)
CROSS JOIN LATERAL (
    SELECT *
    FROM millrace.messages AS m
    WHERE m.tenant_id = batch.tenant_id AND m.conversation = batch.conversation
      AND m.source = batch.source AND m.id >= batch.id
    ORDER BY m.id -- which only the index of names has: while the table is young, another looks as good
    LIMIT 1
) AS m
WHERE m.id = batch.id`

	selectLast = `
SELECT` + columns + `
FROM unnest($1::text[], $2::text[]) AS batch (tenant_id, conversation)
CROSS JOIN LATERAL (
    SELECT *
    FROM millrace.messages AS m
    WHERE m.tenant_id = batch.tenant_id AND m.conversation = batch.conversation
    ORDER BY m.number DESC
    LIMIT $3
) AS m`

	selectAll = `
SELECT` + columns + `
FROM unnest($1::text[], $2::text[]) AS batch (tenant_id, conversation)
JOIN millrace.messages AS m ON m.tenant_id = batch.tenant_id AND m.conversation = batch.conversation`

	insertMessages = `
INSERT INTO millrace.messages (month, tenant_id, conversation, source, id, author, text, attachments, details,
                               state, sent_at, number, version)
SELECT month, tenant_id, conversation, source, id, author, text,
       ARRAY(SELECT jsonb_array_elements(attachments)), details, state, sent_at, number, version
FROM unnest($1::date[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::jsonb[],
            $9::jsonb[], $10::text[], $11::timestamptz[], $12::bigint[], $13::bigint[])
  AS batch (month, tenant_id, conversation, source, id, author, text, attachments, details, state, sent_at,
            number, version)`

	// What each index has is given, so that any of them finds the row at once.
	updateMessages = `
UPDATE millrace.messages AS m
SET text = batch.text, attachments = ARRAY(SELECT jsonb_array_elements(batch.attachments)),
    details = batch.details, state = batch.state, version = batch.version
FROM unnest($1::date[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::jsonb[],
            $9::text[], $10::bigint[], $11::bigint[])
  AS batch (month, tenant_id, conversation, source, id, text, attachments, details, state, number, version)
WHERE m.month = batch.month AND m.tenant_id = batch.tenant_id AND m.conversation = batch.conversation
  AND m.source = batch.source AND m.id = batch.id AND m.number = batch.number`
)

// load reads the messages that are to be edited or redacted.
func load(b *pgx.Batch, conversations []*function.Entity[Conversation]) {
	tenants, subjects, sources, ids := function.Named(conversations, func(p function.Pending) (n function.Name, ok bool) {
		r, ok := p.Payload.(function.Referring)
		if ok {
			n = r.RefersTo(function.Name{Source: p.Source, ID: p.ID})
		}
		return n, ok
	})
	if len(ids) > 0 {
		b.Queue(selectNamed, tenants, subjects, sources, ids).Query(scanInto(conversations))
	}
}

// loadViews reads the messages that a list remembers: see views.Recent.
func loadViews(b *pgx.Batch, conversations []*function.Entity[Conversation]) {
	tenants, subjects := function.Keys(conversations)
	b.Queue(selectLast, tenants, subjects, 2*shown).Query(scanInto(conversations))
}

func loadAll(b *pgx.Batch, conversations []*function.Entity[Conversation]) {
	tenants, subjects := function.Keys(conversations)
	b.Queue(selectAll, tenants, subjects).Query(scanInto(conversations))
}

func scanInto(conversations []*function.Entity[Conversation]) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		index := function.IndexOf(conversations)
		for rows.Next() {
			var tenant, conversation string
			var name function.Name
			var details []byte
			m := &Message{stored: true}
			err := rows.Scan(&tenant, &conversation, &name.Source, &name.ID, &m.Author, &m.Text, &m.Attachments,
				&details, &m.State, &m.Time, &m.Number, &m.Version)
			if err != nil {
				return err
			}
			m.Time, m.Details = m.Time.UTC(), canonical(details)
			index.State(tenant, conversation).add(name, m)
		}
		return rows.Err()
	}
}

// row is a message with what names it.
type row struct {
	tenant, conversation string
	function.Name
	*Message
}

// save writes new messages, and what became of old ones. It knows both by what
// the rules marked, since the runtime saves a state once.
func save(b *pgx.Batch, conversations []*function.Entity[Conversation]) {
	var added, updated []row
	for _, e := range conversations {
		for name, m := range e.State.Messages {
			switch r := (row{e.TenantID, e.Subject, name, m}); {
			case !m.stored:
				added = append(added, r)
			case m.changed:
				updated = append(updated, r)
			}
		}
	}
	if len(added) > 0 {
		b.Queue(insertMessages, append(names(added),
			function.Column(added, func(r row) string { return r.Author }),
			function.Column(added, func(r row) string { return r.Text }),
			function.Column(added, attachments),
			function.Column(added, details),
			function.Column(added, func(r row) string { return string(r.State) }),
			function.Column(added, func(r row) time.Time { return r.Time }),
			function.Column(added, func(r row) int64 { return r.Number }),
			function.Column(added, func(r row) int64 { return r.Version }))...)
	}
	if len(updated) > 0 {
		b.Queue(updateMessages, append(names(updated),
			function.Column(updated, func(r row) string { return r.Text }),
			function.Column(updated, attachments),
			function.Column(updated, details),
			function.Column(updated, func(r row) string { return string(r.State) }),
			function.Column(updated, func(r row) int64 { return r.Number }),
			function.Column(updated, func(r row) int64 { return r.Version }))...)
	}
}

// names returns the columns of the primary key.
func names(rows []row) []any {
	return []any{
		function.Column(rows, func(r row) time.Time { return event.MonthOf(r.Time) }),
		function.Column(rows, func(r row) string { return r.tenant }),
		function.Column(rows, func(r row) string { return r.conversation }),
		function.Column(rows, func(r row) string { return r.Source }),
		function.Column(rows, func(r row) string { return r.ID }),
	}
}

func attachments(r row) []byte {
	if len(r.Attachments) == 0 {
		return []byte("[]")
	}
	out, err := json.Marshal(r.Attachments)
	if err != nil {
		panic(err) // an Attachment always has a JSON form
	}
	return out
}

// details returns nil, which is stored as NULL, if there are none.
func details(r row) []byte { return []byte(r.Details) }
