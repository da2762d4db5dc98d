-- +goose Up

-- Journal entries. Nothing is ever taken out: a reversal is an entry too.
CREATE TABLE millrace.entries (
    month       date        NOT NULL CHECK (date_part('day', month) = 1),
    tenant_id   text        NOT NULL CHECK (tenant_id <> ''),
    journal     text        NOT NULL CHECK (journal <> ''),
    version     bigint      NOT NULL CHECK (version >= 1),
    source      text        NOT NULL CHECK (source <> ''),
    id          text        NOT NULL CHECK (id <> ''),
    description text        NOT NULL,
    lines       smallint    NOT NULL CHECK (lines >= 2),
    reverses    text        NULL CONSTRAINT entries_reverses_another CHECK (reverses <> id),
    reversed_by text        NULL CONSTRAINT entries_reversed_by_another CHECK (reversed_by <> id),
    posted_at   timestamptz NOT NULL CONSTRAINT entries_in_month CHECK (date_trunc('month', posted_at AT TIME ZONE 'UTC') = month),
    PRIMARY KEY (tenant_id, journal, version, month),
    CONSTRAINT entries_no_reversal_reversed CHECK (reverses IS NULL OR reversed_by IS NULL)
) PARTITION BY RANGE (month);

COMMENT ON TABLE millrace.entries IS 'Journal entries, named by source and id of the event that posted them.';
COMMENT ON COLUMN millrace.entries.journal IS 'The account whose journal it is: the subject of the event.';
COMMENT ON COLUMN millrace.entries.version IS 'Version of the journal at the posting: the entry''s key in it.';
COMMENT ON COLUMN millrace.entries.lines IS 'How many postings it has.';
COMMENT ON COLUMN millrace.entries.reverses IS 'Id of the entry, of the same source, that this one takes back.';
COMMENT ON COLUMN millrace.entries.reversed_by IS 'Id of the entry that takes this one back.';

-- For the entry that is to be reversed.
CREATE INDEX entries_name ON millrace.entries (tenant_id, journal, source, id);

CREATE TABLE millrace.postings (
    month     date           NOT NULL CHECK (date_part('day', month) = 1),
    tenant_id text           NOT NULL CHECK (tenant_id <> ''),
    journal   text           NOT NULL CHECK (journal <> ''),
    version   bigint         NOT NULL CHECK (version >= 1),
    line      smallint       NOT NULL CHECK (line >= 1),
    account   text           NOT NULL CHECK (account <> ''),
    currency  text           NOT NULL CHECK (octet_length(currency) = 3),
    amount    millrace.exact NOT NULL CHECK (amount <> 0),
    PRIMARY KEY (tenant_id, journal, version, line, month)
) PARTITION BY RANGE (month);

COMMENT ON TABLE millrace.postings IS 'The lines of journal entries: what each account gets, or gives where it is below 0.';
COMMENT ON COLUMN millrace.postings.journal IS 'The journal that the entry is in.';
COMMENT ON COLUMN millrace.postings.version IS 'The entry''s version.';

-- One statement inserts the postings of an entry, all of them. So a trigger
-- for the statement can hold them to the entry, and each currency to a sum of
-- zero. It stands for the foreign key too, whose own trigger runs once a row
-- and would make the insert twice as dear.
-- +goose StatementBegin
CREATE FUNCTION millrace.check_postings() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    wrong record;
BEGIN
    SELECT a.* INTO wrong
    FROM (
        SELECT tenant_id, journal, version, month, bool_or(total <> 0) AS unbalanced,
               sum(lines) AS lines, max(last) AS last
        FROM (
            SELECT tenant_id, journal, version, month, currency,
                   sum(amount) AS total, count(*) AS lines, max(line) AS last
            FROM added
            GROUP BY tenant_id, journal, version, month, currency
        ) AS by_currency
        GROUP BY tenant_id, journal, version, month
    ) AS a
    LEFT JOIN LATERAL (
        -- By the index: a join reads all entries as long as there are not very many.
        SELECT e.lines
        FROM millrace.entries AS e
        WHERE e.tenant_id = a.tenant_id AND e.journal = a.journal AND e.version = a.version AND e.month = a.month
        LIMIT 1
    ) AS e ON true
    WHERE a.unbalanced OR (a.lines, a.last) IS DISTINCT FROM (e.lines, e.lines)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the postings of entry % of journal % %', wrong.version, wrong.journal,
                CASE WHEN wrong.unbalanced THEN 'do not sum to zero' ELSE 'are not as many as the entry says' END
            USING ERRCODE = 'integrity_constraint_violation', TABLE = 'postings',
                  CONSTRAINT = CASE WHEN wrong.unbalanced THEN 'postings_zero_sum' ELSE 'postings_entry' END;
    END IF;
    PERFORM set_config('millrace.postings', '', true);
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER check_postings AFTER INSERT ON millrace.postings
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION millrace.check_postings();

-- An insert into a partition by its own name would not fire that trigger, and
-- partitions made later would have none. So it is refused: only a statement on
-- the whole table opens it for rows.
-- +goose StatementBegin
CREATE FUNCTION millrace.open_postings() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('millrace.postings', 'open', true);
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER open_postings BEFORE INSERT ON millrace.postings
    FOR EACH STATEMENT EXECUTE FUNCTION millrace.open_postings();

-- +goose StatementBegin
CREATE FUNCTION millrace.refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on %: %', TG_OP, TG_TABLE_NAME, TG_ARGV[0]
        USING ERRCODE = 'integrity_constraint_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
END $$;
-- +goose StatementEnd

CREATE TRIGGER postings_through_parent BEFORE INSERT ON millrace.postings
    FOR EACH ROW WHEN (current_setting('millrace.postings', true) IS DISTINCT FROM 'open')
    EXECUTE FUNCTION millrace.refuse_change('insert into millrace.postings, not into its partitions');

CREATE TRIGGER postings_append_only BEFORE UPDATE OR DELETE ON millrace.postings
    FOR EACH ROW EXECUTE FUNCTION millrace.refuse_change('postings stay; an entry is taken back by a reversal');

CREATE TRIGGER postings_no_truncate BEFORE TRUNCATE ON millrace.postings
    FOR EACH STATEMENT EXECUTE FUNCTION millrace.refuse_change('postings stay; old months are detached');

CREATE TRIGGER entries_stay BEFORE DELETE ON millrace.entries
    FOR EACH ROW EXECUTE FUNCTION millrace.refuse_change('entries stay; they are taken back by a reversal');

CREATE TRIGGER entries_no_truncate BEFORE TRUNCATE ON millrace.entries
    FOR EACH STATEMENT EXECUTE FUNCTION millrace.refuse_change('entries stay; old months are detached');

-- An entry changes once in its life: when it is reversed.
CREATE TRIGGER entries_append_only BEFORE UPDATE ON millrace.entries
    FOR EACH ROW WHEN (
        OLD.reversed_by IS NOT NULL OR NEW.reversed_by IS NULL
        OR (OLD.month, OLD.tenant_id, OLD.journal, OLD.version, OLD.source, OLD.id, OLD.description, OLD.lines,
            OLD.reverses, OLD.posted_at)
        IS DISTINCT FROM
           (NEW.month, NEW.tenant_id, NEW.journal, NEW.version, NEW.source, NEW.id, NEW.description, NEW.lines,
            NEW.reverses, NEW.posted_at))
    EXECUTE FUNCTION millrace.refuse_change('an entry can only be marked as reversed, once');

SELECT millrace.add_monthly_table('entries', 4);
SELECT millrace.add_monthly_table('postings', 4);

-- What each account has: the buckets of the aggregate summed up.
CREATE VIEW millrace.balances AS
SELECT tenant_id, key AS account, field AS currency, trim_scale(sum(value)) AS amount
FROM millrace.aggregates
WHERE function = 'ledger' AND name = 'balance'
GROUP BY tenant_id, key, field;

COMMENT ON VIEW millrace.balances IS 'What each account has: the sum of its postings.';
