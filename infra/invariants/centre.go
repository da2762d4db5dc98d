package invariants

// saidRules are I7 for the contact centre, worked out by PostgreSQL from what the
// audit log says last, without a rule of the functions.
var saidRules = map[string][]rule{"agent": agentRules, "conversation": placeRules, "message": messageRules}

var agentRules = []rule{{"I7", "agents whose status is not what was said last", `
SELECT tenant_id, agent, g.status, said.status AS said
FROM millrace.agents AS g
FULL JOIN (
    SELECT DISTINCT ON (tenant_id, subject) tenant_id, subject AS agent,
           CASE type WHEN 'agent.signed-in.v1' THEN 'available'
                     WHEN 'agent.signed-out.v1' THEN 'signed-out'
                     ELSE data->>'status' END AS status
    FROM millrace.audit
    WHERE function = 'agent' AND outcome = 'applied' AND type <> 'agent.skills-changed.v1'
    ORDER BY tenant_id, subject, version DESC
) AS said USING (tenant_id, agent)
WHERE g.status IS DISTINCT FROM coalesce(said.status, 'signed-out')`}}

var placeRules = []rule{{"I7", "conversations that are not where they were put last", `
SELECT tenant_id, conversation, c.agent, c.queue, c.closed_at, said.place->>'agent' AS said_agent, said.place->>'queue' AS said_queue, said.closed
FROM millrace.conversations AS c
FULL JOIN (
    SELECT tenant_id, subject AS conversation, bool_or(type = 'conversation.closed.v1') AS closed,
           (array_agg(data ORDER BY version DESC) FILTER (
               WHERE type IN ('conversation.queued.v1', 'conversation.assigned.v1', 'conversation.transferred.v1')))[1] AS place
    FROM millrace.audit
    WHERE function = 'conversation' AND outcome = 'applied'
    GROUP BY tenant_id, subject
) AS said USING (tenant_id, conversation)
WHERE c.opened_at IS NULL
   OR (c.agent, c.closed_at IS NOT NULL, c.queue)
      IS DISTINCT FROM (said.place->>'agent', said.closed, CASE WHEN NOT said.closed THEN said.place->>'queue' END)`}}

var messageRules = []rule{{"I7", "messages that do not say what was said last", `
SELECT tenant_id, conversation, source, id, m.state, said.state AS said
FROM millrace.messages AS m
LEFT JOIN (
    SELECT DISTINCT ON (tenant_id, conversation, source, id) *
    FROM (
        SELECT tenant_id, subject AS conversation, version, split_part(type, '.', 2) AS state, coalesce(data->>'text', '') AS text,
               CASE WHEN type = 'message.redacted.v1' THEN coalesce(data->>'source', source) ELSE source END AS source,
               CASE WHEN type = 'message.sent.v1' THEN id ELSE data->>'message' END AS id
        FROM millrace.audit
        WHERE function = 'message' AND outcome = 'applied'
    ) AS events
    ORDER BY tenant_id, conversation, source, id, version DESC
) AS said USING (tenant_id, conversation, source, id)
WHERE (m.state, m.text) IS DISTINCT FROM (said.state, CASE WHEN said.state = 'redacted' THEN '' ELSE said.text END)`}}
