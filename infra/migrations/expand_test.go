package migrations_test

import (
	"database/sql"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pressly/goose/v3"

	"github.com/millrace/millrace/infra/stack/stacktest"
)

// meant are contractions that the previous revision gets along with, and why.
var meant = map[string]string{
	"00005_operations.sql changes check millrace.dead_letters.dead_letters_state_check": "one more state is allowed, which only an operator's command sets",
	"00042_postings.sql changes function millrace.check_postings()":                     "it refuses what it refused before, and finds an entry by another index",
}

// During a rollout the previous revision of a function works on the new schema:
// a migration adds and loosens, and takes nothing away. What it does is read from
// PostgreSQL's catalogue before and after it.
func TestMigrationsOnlyExpand(t *testing.T) {
	t.Parallel()
	db := open(t, stacktest.EmptyPostgres(t))
	provider, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS("."), goose.WithTableName("public.goose_db_version"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	var before catalogue
	for range provider.ListSources() {
		result, err := provider.UpByOne(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		after := catalogueOf(t, db)
		for _, what := range contractions(before, after) {
			what = result.Source.Path + " " + what
			if found[what] = true; meant[what] == "" {
				t.Errorf("%s: the previous revision of a function may fail on that. First expand; contract when it runs no more (docs/adding-a-function.md)", what)
			}
		}
		before = after
	}
	for what := range meant {
		if !found[what] {
			t.Errorf("%s: it does not any more", what)
		}
	}
}

func open(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestContractionsAreFound(t *testing.T) {
	t.Parallel()
	db := open(t, stacktest.Postgres(t))
	for change, want := range map[string]string{
		`ALTER TABLE millrace.parked ADD COLUMN new int CHECK (new > 0)`:                                           "",
		`ALTER TABLE millrace.parked ADD COLUMN new int NOT NULL DEFAULT 1`:                                        "",
		`ALTER TABLE millrace.seen DROP CONSTRAINT seen_outcome_check, ALTER COLUMN reason DROP NOT NULL`:          "",
		`CREATE INDEX new ON millrace.parked (id)`:                                                                 "",
		`CREATE TABLE millrace.new (id int PRIMARY KEY CHECK (id > 0))`:                                            "",
		`ALTER TABLE millrace.parked ADD COLUMN new int NOT NULL`:                                                  "adds not null millrace.parked.new",
		`ALTER TABLE millrace.outbox ADD COLUMN new int UNIQUE`:                                                    "adds key millrace.outbox.outbox_new_key",
		`ALTER TABLE millrace.outbox ADD COLUMN new int CHECK (new > id)`:                                          "adds check millrace.outbox.outbox_check",
		`ALTER TABLE millrace.outbox DROP COLUMN drain`:                                                            "removes column millrace.outbox.drain",
		`ALTER TABLE millrace.outbox RENAME COLUMN drain TO new`:                                                   "removes column millrace.outbox.drain",
		`ALTER TABLE millrace.outbox RENAME TO new`:                                                                "removes table millrace.outbox",
		`ALTER TABLE millrace.outbox ALTER COLUMN drain SET NOT NULL`:                                              "adds not null millrace.outbox.drain",
		`ALTER TABLE millrace.outbox ALTER COLUMN drain TYPE jsonb`:                                                "changes column millrace.outbox.drain",
		`ALTER TABLE millrace.dead_letters ALTER COLUMN state DROP DEFAULT`:                                        "removes default millrace.dead_letters.state",
		`ALTER TABLE millrace.dead_letters DROP CONSTRAINT dead_letters_pkey`:                                      "removes key millrace.dead_letters.dead_letters_pkey",
		`CREATE UNIQUE INDEX new ON millrace.dead_letters (cause)`:                                                 "adds key millrace.dead_letters.new",
		`CREATE TRIGGER new BEFORE UPDATE ON millrace.seen FOR EACH ROW EXECUTE FUNCTION millrace.refuse_change()`: "adds trigger millrace.seen.new",
		`ALTER TABLE millrace.seen ENABLE ROW LEVEL SECURITY`:                                                      "adds row security millrace.seen",
		`DROP VIEW millrace.balances`:                                                                              "removes view millrace.balances",
		`ALTER FUNCTION millrace.make_month(date) RENAME TO new`:                                                   "removes function millrace.make_month(month date)",
	} {
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		before := catalogueOf(t, tx)
		if _, err := tx.ExecContext(t.Context(), change); err != nil {
			t.Fatalf("%s: %v", change, err)
		}
		got := contractions(before, catalogueOf(t, tx))
		if len(got) > 0 == (want == "") || want != "" && !slices.Contains(got, want) {
			t.Errorf("%s: %s", change, strings.Join(got, ", "))
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
	}
}
