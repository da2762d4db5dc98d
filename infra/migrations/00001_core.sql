-- +goose Up

CREATE SCHEMA millrace;

COMMENT ON SCHEMA millrace IS 'Millrace: what the functions decided, and what is still to be told.';

-- One row an entity: the account, conversation or agent of one function. It is
-- locked before anything about the entity is decided.
CREATE TABLE millrace.entities (
    tenant_id text   NOT NULL CHECK (tenant_id <> ''),
    function  text   NOT NULL CHECK (function <> ''),
    subject   text   NOT NULL CHECK (subject <> ''),
    version   bigint NOT NULL DEFAULT 0 CHECK (version >= 0 AND version < 9007199254740992),
    counters  json   NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, function, subject)
) PARTITION BY HASH (tenant_id);

COMMENT ON COLUMN millrace.entities.version IS 'How many events were decided; the order of everything about the entity.';
COMMENT ON COLUMN millrace.entities.counters IS 'Last sequence of the events emitted to each target.';

-- How far each producer's stream about an entity was decided.
CREATE TABLE millrace.streams (
    tenant_id text   NOT NULL,
    function  text   NOT NULL,
    subject   text   NOT NULL,
    source    text   NOT NULL,
    position  bigint NOT NULL CHECK (position >= 0),
    parked    int    NOT NULL DEFAULT 0 CHECK (parked >= 0),
    PRIMARY KEY (tenant_id, function, subject, source)
) PARTITION BY HASH (tenant_id);

COMMENT ON COLUMN millrace.streams.parked IS 'How many events wait for a missing one.';

-- The identity of every decided event, kept for the horizon of deduplication.
CREATE TABLE millrace.seen (
    tenant_id  text        NOT NULL,
    source     text        NOT NULL,
    id         text        NOT NULL,
    digest     bytea       NOT NULL CHECK (length(digest) = 32),
    outcome    text        NOT NULL CHECK (outcome IN ('applied', 'refused')),
    reason     text        NOT NULL DEFAULT '',
    function   text        NOT NULL,
    subject    text        NOT NULL,
    version    bigint      NOT NULL CHECK (version > 0),
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, source, id)
) PARTITION BY HASH (tenant_id);

CREATE INDEX seen_decided_at ON millrace.seen USING brin (decided_at);

-- Every decision, in the order of its entity. Folding these rows by version
-- gives the live tables.
CREATE TABLE millrace.audit (
    month       date        NOT NULL CHECK (date_part('day', month) = 1),
    tenant_id   text        NOT NULL,
    function    text        NOT NULL,
    subject     text        NOT NULL,
    version     bigint      NOT NULL CHECK (version > 0),
    outcome     text        NOT NULL CHECK (outcome IN ('applied', 'refused')),
    reason      text        NOT NULL DEFAULT '',
    source      text        NOT NULL,
    id          text        NOT NULL,
    type        text        NOT NULL,
    time        timestamptz NOT NULL,
    sequence    bigint      NULL CHECK (sequence > 0),
    digest      bytea       NOT NULL CHECK (length(digest) = 32),
    data        json        NOT NULL,
    attributes  json        NULL,
    decided_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, function, subject, version, month)
) PARTITION BY RANGE (month);

COMMENT ON COLUMN millrace.audit.attributes IS 'The event''s other context attributes, such as traceparent.';

-- Events that came before an earlier one of their stream.
CREATE TABLE millrace.parked (
    tenant_id text        NOT NULL,
    function  text        NOT NULL,
    subject   text        NOT NULL,
    source    text        NOT NULL,
    sequence  bigint      NOT NULL CHECK (sequence > 1),
    id        text        NOT NULL,
    event     json        NOT NULL,
    parked_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, function, subject, source, sequence)
) PARTITION BY HASH (tenant_id);

-- What could not be decided, and what the rules refused.
CREATE TABLE millrace.dead_letters (
    id         uuid        PRIMARY KEY,
    function   text        NOT NULL,
    tenant_id  text        NOT NULL,
    source     text        NOT NULL,
    event_id   text        NOT NULL,
    type       text        NOT NULL,
    subject    text        NOT NULL,
    kind       text        NOT NULL CHECK (kind IN ('undecided', 'refused')),
    reason     text        NOT NULL,
    cause      text        NOT NULL,
    event      bytea       NOT NULL,
    state      text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'redriven', 'dropped')),
    created_at timestamptz NOT NULL
);

COMMENT ON COLUMN millrace.dead_letters.id IS 'Follows from function, event and reason: a redelivery makes no second row.';
COMMENT ON COLUMN millrace.dead_letters.tenant_id IS 'Empty, like the other attributes, where it could not be read.';
COMMENT ON COLUMN millrace.dead_letters.event IS 'The CloudEvent in JSON, or the bytes that came instead of one.';

CREATE INDEX dead_letters_open ON millrace.dead_letters (tenant_id, function, created_at) WHERE state = 'open';

-- Numbers that many entities change. What is shown is the sum over the
-- buckets, so that concurrent transactions need not wait for one row.
CREATE TABLE millrace.aggregates (
    tenant_id text     NOT NULL,
    function  text     NOT NULL,
    name      text     NOT NULL,
    key       text     NOT NULL,
    field     text     NOT NULL,
    bucket    smallint NOT NULL CHECK (bucket >= 0),
    value     numeric  NOT NULL CHECK (value <> 'NaN'),
    version   bigint   NOT NULL CHECK (version > 0),
    PRIMARY KEY (tenant_id, function, name, key, field, bucket)
) PARTITION BY HASH (tenant_id);

-- What transactions still have to tell Redis and Kafka: one row a transaction.
CREATE TABLE millrace.outbox (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    function      text        NOT NULL,
    created_at    timestamptz NOT NULL,
    claimed_until timestamptz NULL,
    dirty         json        NULL,
    emitted       json        NULL,
    dead_letters  uuid[]      NULL,
    drain         json        NULL
);

ALTER TABLE millrace.outbox ALTER COLUMN emitted SET STORAGE EXTERNAL;

COMMENT ON COLUMN millrace.outbox.dirty IS 'Entities and aggregates whose views are to be shown anew; null when done.';
COMMENT ON COLUMN millrace.outbox.emitted IS 'CloudEvents to be put into Kafka; null when done.';
COMMENT ON COLUMN millrace.outbox.drain IS 'Streams with parked events that are ready, past the limit of one transaction.';

-- A number for this life of the database, part of what tells a Redis that
-- shows another life. It is renewed when the timeline changes.
CREATE TABLE millrace.database_epoch (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch       uuid    NOT NULL DEFAULT gen_random_uuid(),
    timeline_id int     NOT NULL
);

INSERT INTO millrace.database_epoch (timeline_id) SELECT timeline_id FROM pg_control_checkpoint();

-- +goose StatementBegin
CREATE FUNCTION millrace.make_hash_partitions(parent text, parts int) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    FOR n IN 0 .. parts - 1 LOOP
        EXECUTE format(
            'CREATE TABLE IF NOT EXISTS millrace.%I PARTITION OF millrace.%I FOR VALUES WITH (MODULUS %s, REMAINDER %s)',
            parent || '_' || n, parent, parts, n);
    END LOOP;
END $$;
-- +goose StatementEnd

COMMENT ON FUNCTION millrace.make_hash_partitions IS 'Splits a table of schema millrace by hash. Safe to run twice.';

-- The tables that are split by month, and into how many parts each month is.
CREATE TABLE millrace.monthly_tables (
    name  text PRIMARY KEY,
    parts int  NOT NULL CHECK (parts BETWEEN 1 AND 64)
);

-- +goose StatementBegin
CREATE FUNCTION millrace.make_month_of(parent text, month date) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    first date := date_trunc('month', month);
    leaf  text := parent || to_char(first, '_YYYY_MM');
BEGIN
    -- Two makers at once would both find the month missing.
    PERFORM pg_advisory_xact_lock(hashtext('millrace.make_month'));
    IF to_regclass(format('millrace.%I', leaf)) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format(
        'CREATE TABLE millrace.%I PARTITION OF millrace.%I FOR VALUES FROM (%L) TO (%L) PARTITION BY HASH (tenant_id)',
        leaf, parent, first, first + interval '1 month');
    PERFORM millrace.make_hash_partitions(leaf, (SELECT parts FROM millrace.monthly_tables WHERE name = parent));
    RETURN true;
EXCEPTION WHEN check_violation THEN
    RAISE WARNING 'month % of table % stays in the default partition, which holds rows of it', first, parent;
    RETURN false;
END $$;
-- +goose StatementEnd

COMMENT ON FUNCTION millrace.make_month_of IS 'Makes the partition of one month of one monthly table, if it is missing. It locks the table for a moment: set lock_timeout, and try again.';

-- +goose StatementBegin
CREATE FUNCTION millrace.make_month(month date) RETURNS int
LANGUAGE sql AS $$
    SELECT count(*)::int
    FROM (SELECT millrace.make_month_of(name, month) AS made FROM millrace.monthly_tables ORDER BY name) AS tables
    WHERE made
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION millrace.make_month IS 'Makes the partitions of one month for every monthly table, and says how many tables got one. It locks them all at once: for a database at rest.';

-- +goose StatementBegin
CREATE FUNCTION millrace.add_monthly_table(parent text, parts int) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO millrace.monthly_tables (name, parts) VALUES (parent, parts);
    EXECUTE format('CREATE TABLE millrace.%I PARTITION OF millrace.%I DEFAULT PARTITION BY HASH (tenant_id)',
        parent || '_default', parent);
    PERFORM millrace.make_hash_partitions(parent || '_default', parts);
END $$;
-- +goose StatementEnd

COMMENT ON FUNCTION millrace.add_monthly_table IS 'Enters a table into the list of those split by month, and makes its default partition, which takes what no month was made for.';

SELECT millrace.make_hash_partitions('entities', 4);
SELECT millrace.make_hash_partitions('streams', 4);
SELECT millrace.make_hash_partitions('seen', 4);
SELECT millrace.make_hash_partitions('parked', 4);
SELECT millrace.make_hash_partitions('aggregates', 4);
SELECT millrace.add_monthly_table('audit', 4);

ALTER TABLE millrace.outbox SET (autovacuum_vacuum_scale_factor = 0.05, fillfactor = 80);
