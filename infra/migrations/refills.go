package migrations

import (
	"context"
	"database/sql"

	"github.com/pressly/goose/v3"
)

// dropRefills drops what a `millrace maintain` that was killed has copied: the
// trigger would repeat changes of the table in copies that lack a new column. The
// lock keeps others from making or dropping one meanwhile.
const dropRefills = `
DO $$
DECLARE
    name text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('millrace.make_month'));
    FOR name IN SELECT m.name FROM millrace.monthly_tables AS m ORDER BY m.name LOOP
        IF to_regclass(format('millrace.%I', name || '_refill')) IS NOT NULL THEN
            EXECUTE format('DROP TRIGGER IF EXISTS zz_mirror ON millrace.%I', name || '_default');
            EXECUTE format('DROP FUNCTION IF EXISTS millrace.%I', name || '_mirror');
            EXECUTE format('DROP TABLE millrace.%I', name || '_refill');
        END IF;
    END LOOP;
END $$`

// clearRefills drops them, if there is anything to migrate.
func clearRefills(ctx context.Context, db *sql.DB, provider *goose.Provider) error {
	pending, err := provider.HasPending(ctx)
	if err != nil || !pending {
		return err
	}
	var made bool
	err = db.QueryRowContext(ctx, `SELECT to_regclass('millrace.monthly_tables') IS NOT NULL`).Scan(&made)
	if err != nil || !made {
		return err
	}
	_, err = db.ExecContext(ctx, dropRefills)
	return err
}
