-- +goose Up

-- The agents of contact centres.
CREATE TABLE millrace.agents (
    tenant_id text        NOT NULL CHECK (tenant_id <> ''),
    agent     text        NOT NULL CHECK (agent <> ''),
    name      text        NOT NULL,
    status    text        NOT NULL CHECK (status IN ('available', 'busy', 'wrap-up', 'break', 'offline-work', 'signed-out')),
    reason    text        NOT NULL,
    since     timestamptz NOT NULL,
    session   bigint      NOT NULL CHECK (session >= 1 OR session = 0 AND status = 'signed-out'),
    skills    text[]      NOT NULL,
    features  jsonb       NOT NULL CHECK (jsonb_typeof(features) = 'object'),
    version   bigint      NOT NULL CHECK (version >= 1),
    PRIMARY KEY (tenant_id, agent)
) PARTITION BY HASH (tenant_id);

COMMENT ON TABLE millrace.agents IS 'The agents of contact centres, as the last event of each left them.';
COMMENT ON COLUMN millrace.agents.reason IS 'Why the status was taken, if it was told.';
COMMENT ON COLUMN millrace.agents.since IS 'When the status began, by the time of its event.';
COMMENT ON COLUMN millrace.agents.session IS 'Counts the times of signing in; 0 before the first.';
COMMENT ON COLUMN millrace.agents.features IS 'Feature flags of the desktop: name to true or false.';
COMMENT ON COLUMN millrace.agents.version IS 'Version of the agent at the last change.';

-- For those who have some skills: skills @> ARRAY['billing', 'fr'].
CREATE INDEX agents_skills ON millrace.agents USING gin (skills);

SELECT millrace.make_hash_partitions('agents', 4);
