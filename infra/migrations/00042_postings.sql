-- +goose Up

-- While the table of entries is young, its index of names looks as good as the
-- primary key, and all entries of the journal are read for each. The order is
-- the primary key's alone.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION millrace.check_postings() RETURNS trigger
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
        SELECT e.version, e.lines
        FROM millrace.entries AS e
        WHERE e.tenant_id = a.tenant_id AND e.journal = a.journal AND e.version >= a.version AND e.month = a.month
        ORDER BY e.version
        LIMIT 1
    ) AS e ON e.version = a.version
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
