// Package migrations holds the database schema as goose migrations. They only
// go forward; each expands first, so that the previous revision of a function
// works on the new schema too.
//
// Each file is one transaction: a crash in the middle of [Up] leaves the files
// before it applied and nothing of it, and running Up again goes on.
package migrations

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver that goose goes through
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed *.sql
var files embed.FS

// Up brings a database to the newest schema. Several processes may call it at
// once: an advisory lock lets one go first, and the others find nothing to do.
func Up(ctx context.Context, databaseURL string) (err error) {
	db, err := sql.Open("pgx", databaseURL)
	if err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithSessionLocker(locker),
		// The core's files are numbered before the functions': a new one finds some
		// of the functions' already applied.
		goose.WithAllowOutofOrder(true),
		// Named in full: a role called millrace finds schema millrace first, and
		// goose would look for its table there once the first migration made it.
		goose.WithTableName("public.goose_db_version"))
	if err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	if err := clearRefills(ctx, db, provider); err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	return nil
}

// Fingerprint changes whenever a migration does. Tests name template
// databases by it.
func Fingerprint() string {
	hash := sha256.New()
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		panic(err) // the pattern is well formed
	}
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			panic(err) // embedded files can be read
		}
		fmt.Fprintf(hash, "%s %d\n", name, len(text))
		hash.Write(text)
	}
	return hex.EncodeToString(hash.Sum(nil)[:6])
}
