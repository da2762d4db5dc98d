package conversation

import (
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/millrace/millrace/shared/function"
)

const (
	selectConversations = `
SELECT c.tenant_id, c.conversation, c.channel, c.customer, c.agent, c.queue, c.priority, c.waiting_since, c.queues,
       c.opened_at, c.closed_at
FROM unnest($1::text[], $2::text[]) AS batch (tenant_id, conversation)
CROSS JOIN LATERAL (
    SELECT *
    FROM millrace.conversations AS c
    WHERE c.tenant_id = batch.tenant_id AND c.conversation = batch.conversation
    LIMIT 1 -- so that it looks into the index for each, even while the table is young
) AS c`

	// Queues come as one text, since unnest takes nested arrays apart.
	upsertConversations = `
INSERT INTO millrace.conversations (tenant_id, conversation, channel, customer, agent, queue, priority, waiting_since,
                                    queues, opened_at, closed_at)
SELECT tenant_id, conversation, channel, customer, agent, queue, priority, waiting_since,
       string_to_array(queues, E'\n'), opened_at, closed_at
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::smallint[],
            $8::timestamptz[], $9::text[], $10::timestamptz[], $11::timestamptz[])
  AS batch (tenant_id, conversation, channel, customer, agent, queue, priority, waiting_since, queues, opened_at,
            closed_at)
ON CONFLICT (tenant_id, conversation)
DO UPDATE SET channel = excluded.channel, customer = excluded.customer, agent = excluded.agent,
              queue = excluded.queue, priority = excluded.priority, waiting_since = excluded.waiting_since,
              queues = excluded.queues, closed_at = excluded.closed_at`
)

// load reads conversations whole.
func load(b *pgx.Batch, conversations []*function.Entity[Conversation]) {
	tenants, subjects := function.Keys(conversations)
	b.Queue(selectConversations, tenants, subjects).Query(func(rows pgx.Rows) error {
		index := function.IndexOf(conversations)
		for rows.Next() {
			var tenant, conversation string
			var c Conversation
			err := rows.Scan(&tenant, &conversation, (*zeronull.Text)(&c.Channel), (*zeronull.Text)(&c.Customer),
				(*zeronull.Text)(&c.Agent), (*zeronull.Text)(&c.Queue), &c.Priority, (*zeronull.Timestamptz)(&c.Waiting),
				&c.Queues, &c.Opened, (*zeronull.Timestamptz)(&c.Closed))
			if err != nil {
				return err
			}
			c.Waiting, c.Opened, c.Closed = c.Waiting.UTC(), c.Opened.UTC(), c.Closed.UTC()
			*index.State(tenant, conversation) = c
		}
		return rows.Err()
	})
}

type entity = *function.Entity[Conversation]

func save(b *pgx.Batch, conversations []*function.Entity[Conversation]) {
	var rows []entity
	for _, e := range conversations {
		if e.State.changed {
			rows = append(rows, e)
		}
	}
	if len(rows) == 0 {
		return
	}
	tenants, subjects := function.Keys(rows)
	b.Queue(upsertConversations, tenants, subjects,
		function.Column(rows, func(e entity) zeronull.Text { return zeronull.Text(e.State.Channel) }),
		function.Column(rows, func(e entity) zeronull.Text { return zeronull.Text(e.State.Customer) }),
		function.Column(rows, func(e entity) zeronull.Text { return zeronull.Text(e.State.Agent) }),
		function.Column(rows, func(e entity) zeronull.Text { return zeronull.Text(e.State.Queue) }),
		function.Column(rows, func(e entity) int16 { return int16(e.State.Priority) }), // at most maxPriority
		function.Column(rows, func(e entity) zeronull.Timestamptz { return zeronull.Timestamptz(e.State.Waiting) }),
		function.Column(rows, func(e entity) string { return strings.Join(e.State.Queues, "\n") }), // which no name has
		function.Column(rows, func(e entity) zeronull.Timestamptz { return zeronull.Timestamptz(e.State.Opened) }),
		function.Column(rows, func(e entity) zeronull.Timestamptz { return zeronull.Timestamptz(e.State.Closed) }),
	)
}
