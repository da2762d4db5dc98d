-- +goose Up

-- The tables of state were split by a hash of the tenant, and each month into
-- four. Every statement locks each part that it might need and chooses among
-- them row by row, which took a third of PostgreSQL's CPU time, and nothing read
-- less for it. So state is whole now, and a month is one part; months that are
-- there stay as they are.
--
-- Rows are copied, and functions wait until that is over.
-- +goose StatementBegin
DO $$
DECLARE
    -- Functions take entities first: who has it keeps others out, and waits for
    -- those that are at work.
    tables   CONSTANT text[] := ARRAY['entities', 'streams', 'seen', 'parked', 'redactions',
                                      'agents', 'conversations', 'positions', 'aggregates'];
    name     text;
    rest     text[]; -- what comes after the rows of all tables
BEGIN
    FOREACH name IN ARRAY tables LOOP
        EXECUTE format('LOCK TABLE millrace.%I IN ACCESS EXCLUSIVE MODE', name);
    END LOOP;
    SELECT array_agg(format('CREATE VIEW %s AS %s', of, pg_get_viewdef(of)))
        || array_agg(format('COMMENT ON VIEW %s IS %L', of, obj_description(of, 'pg_class')))
    INTO rest
    FROM unnest(ARRAY['millrace.balances', 'millrace.agent_counts']::regclass[]) AS of;
    rest := rest || (
        SELECT array_agg(format('GRANT %s ON %s TO %s', g.privilege_type, of,
                                CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END))
        FROM pg_class AS c
        CROSS JOIN LATERAL aclexplode(c.relacl) AS g
        CROSS JOIN LATERAL (SELECT c.oid::regclass AS of) AS named
        WHERE g.grantee <> c.relowner AND (c.oid = ANY (ARRAY['millrace.balances', 'millrace.agent_counts']::regclass[])
            OR c.relnamespace = 'millrace'::regnamespace AND c.relname = ANY (tables)));
    DROP VIEW millrace.balances, millrace.agent_counts;

    CREATE SCHEMA millrace_split;
    FOREACH name IN ARRAY tables LOOP
        rest := rest || (
            SELECT array_agg(format('ALTER TABLE millrace.%I ADD CONSTRAINT %I %s', name, conname, pg_get_constraintdef(oid)))
            FROM pg_constraint
            WHERE conrelid = format('millrace.%I', name)::regclass AND contype IN ('p', 'u'))
        || (
            SELECT array_agg(replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON '))
            FROM pg_index AS i
            WHERE i.indrelid = format('millrace.%I', name)::regclass
              AND NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conindid = i.indexrelid))
        || format('COMMENT ON TABLE millrace.%I IS %L', name, obj_description(format('millrace.%I', name)::regclass, 'pg_class'));
        EXECUTE format('ALTER TABLE millrace.%I SET SCHEMA millrace_split', name);
        EXECUTE format('CREATE TABLE millrace.%I (LIKE millrace_split.%I INCLUDING ALL EXCLUDING INDEXES)', name, name);
        EXECUTE format('INSERT INTO millrace.%I SELECT * FROM millrace_split.%I', name, name);
        EXECUTE format('DROP TABLE millrace_split.%I', name);
    END LOOP;
    DROP SCHEMA millrace_split;
    FOREACH name IN ARRAY rest LOOP
        EXECUTE name;
    END LOOP;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
DECLARE
    name  text;
    empty boolean;
BEGIN
    FOR name IN
        UPDATE millrace.monthly_tables AS m
        SET parts = 1
        WHERE m.name IN ('audit', 'messages', 'trades', 'fills', 'entries', 'postings')
        RETURNING m.name
    LOOP
        EXECUTE format('LOCK TABLE millrace.%I IN ACCESS EXCLUSIVE MODE', name);
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM millrace.%I)', name || '_default') INTO empty;
        IF empty THEN
            EXECUTE format('DROP TABLE millrace.%I', name || '_default');
            EXECUTE format('CREATE TABLE millrace.%I PARTITION OF millrace.%I DEFAULT PARTITION BY HASH (tenant_id)',
                name || '_default', name);
            PERFORM millrace.make_hash_partitions(name || '_default', 1);
        END IF;
    END LOOP;
END $$;
-- +goose StatementEnd
