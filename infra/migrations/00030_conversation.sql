-- +goose Up

-- Conversations with customers, as they stand.
CREATE TABLE millrace.conversations (
    tenant_id     text        NOT NULL CHECK (tenant_id <> ''),
    conversation  text        NOT NULL CHECK (conversation <> ''),
    channel       text        NULL CHECK (channel IN ('voice', 'chat', 'email', 'sms', 'social')),
    customer      text        NULL CHECK (customer <> ''),
    agent         text        NULL CHECK (agent <> ''),
    queue         text        NULL,
    priority      smallint    NOT NULL CHECK (priority BETWEEN 0 AND 9),
    waiting_since timestamptz NULL CHECK ((waiting_since IS NULL) = (queue IS NULL)),
    queues        text[]      NOT NULL,
    opened_at     timestamptz NOT NULL,
    closed_at     timestamptz NULL,
    PRIMARY KEY (tenant_id, conversation),
    CONSTRAINT conversations_in_one_place CHECK (
        queue IS NULL OR queue = ANY (queues) AND agent IS NULL AND closed_at IS NULL)
) PARTITION BY HASH (tenant_id);

COMMENT ON TABLE millrace.conversations IS 'Conversations with customers, as they stand.';
COMMENT ON COLUMN millrace.conversations.channel IS 'Null until it is said to have started.';
COMMENT ON COLUMN millrace.conversations.agent IS 'Who has it, or had it when it was closed.';
COMMENT ON COLUMN millrace.conversations.queue IS 'Where it waits.';
COMMENT ON COLUMN millrace.conversations.priority IS 'The highest is served first.';
COMMENT ON COLUMN millrace.conversations.queues IS 'All that it ever waited in.';
COMMENT ON COLUMN millrace.conversations.opened_at IS 'Time of the event that was decided first.';

SELECT millrace.make_hash_partitions('conversations', 4);

-- What each agent has: the buckets of the aggregate summed up.
CREATE VIEW millrace.agent_counts AS
SELECT tenant_id, key AS agent,
       coalesce(sum(value) FILTER (WHERE field = 'open'), 0)::bigint AS open,
       coalesce(sum(value) FILTER (WHERE field = 'closed'), 0)::bigint AS closed
FROM millrace.aggregates
WHERE function = 'conversation' AND name = 'agent'
GROUP BY tenant_id, key;

COMMENT ON VIEW millrace.agent_counts IS 'How many open conversations each agent has, and how many closed ones the agent had at the end.';
