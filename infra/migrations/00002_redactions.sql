-- +goose Up

-- Which events were redacted: what comes later and is one of them, or refers to
-- one, is stored without its confidential members.
CREATE TABLE millrace.redactions (
    tenant_id   text        NOT NULL,
    function    text        NOT NULL,
    subject     text        NOT NULL,
    source      text        NOT NULL,
    id          text        NOT NULL,
    version     bigint      NOT NULL CHECK (version > 0),
    redacted_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, function, subject, source, id)
) PARTITION BY HASH (tenant_id);

COMMENT ON TABLE millrace.redactions IS 'Redacted events, by the entity that decided them.';
COMMENT ON COLUMN millrace.redactions.version IS 'Version of the entity at the redaction.';

SELECT millrace.make_hash_partitions('redactions', 4);

-- Whoever locks an entity sees whether there is anything to read there.
ALTER TABLE millrace.entities ADD COLUMN redacted boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN millrace.entities.redacted IS 'An event of it was redacted: see redactions.';

-- What a redaction overwrote no longer gives its digest.
ALTER TABLE millrace.parked ADD COLUMN digest bytea NULL CHECK (length(digest) = 32);
ALTER TABLE millrace.dead_letters ADD COLUMN digest bytea NULL CHECK (length(digest) = 32);

COMMENT ON COLUMN millrace.parked.digest IS 'Of the event as it came; null: that of the event here.';
COMMENT ON COLUMN millrace.dead_letters.digest IS 'Of the event as it came; null where it could not be read, and in old rows.';

-- A redaction finds the dead letters of an entity, and those of an event under
-- whatever subject.
CREATE INDEX dead_letters_subject ON millrace.dead_letters (tenant_id, function, subject);
CREATE INDEX dead_letters_event ON millrace.dead_letters (tenant_id, source, event_id);
