package faults

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pressly/goose/v3"

	"github.com/millrace/millrace/infra/migrations"
	"github.com/millrace/millrace/infra/skiptest"
	"github.com/millrace/millrace/infra/stack/stacktest"
)

// A rollout: the functions of the revision that had the schema before this one
// go on while it is migrated, and on the new schema; then they are replaced one by
// one, so that two revisions run at once. MILLRACE_REVISION is another one to start
// from.
func TestRollout(t *testing.T) {
	heavy(t)
	t.Parallel()
	folder := checkout(t, previous(t))
	w := newWorld(t, stores{databaseURL: stacktest.EmptyPostgres(t)})
	migrate(t, w.databaseURL, filepath.Join(folder, "infra/migrations"))
	families := []string{"trade", "position", "ledger"}
	for _, name := range families {
		program := filepath.Join(folder, name)
		run(t, folder, "go", "build", "-o", program, "./functions/"+name+"/cmd")
		w.add(t, name)
		w.startProgram(t, program, name)
	}
	sent := w.step(t, 0)
	if err := migrations.Up(t.Context(), w.databaseURL); err != nil { // while functions work
		t.Fatal(err)
	}
	w.startRelay(t)
	for n, name := range families {
		sent += w.step(t, n+1)
		w.decided(t, "trade", sent)
		w.functions[name].process.kill(t)
		w.start(t, name)
	}
	w.step(t, len(families)+1)
	w.holds(t)
}

// step sends trades, what is known already, what cannot be decided, and two of a
// stream in the wrong order. It returns how many of them are decided.
func (w *world) step(t *testing.T, n int) int {
	t.Helper()
	events := some(100, fmt.Sprint("T", n), executed)
	late, early := executed(fmt.Sprint("S", 2*n+1), "entity-1"), executed(fmt.Sprint("S", 2*n+2), "entity-1")
	late.Source, early.Source = "/stream", "/stream"
	late.Sequence, early.Sequence = int64(2*n+1), int64(2*n+2)
	w.send(t, append(events, early, executed(fmt.Sprint("T", n, "-7"), "entity-3"), newEvent("trade.exploded.v1", fmt.Sprint("X", n), "entity-1", "{}"), late)...)
	return len(events) + 2
}

// previous is the last revision before the newest migration.
func previous(t *testing.T) string {
	t.Helper()
	if revision := os.Getenv("MILLRACE_REVISION"); revision != "" {
		return revision
	}
	out, err := exec.CommandContext(t.Context(), "git", "log", "-1", "--format=%H~1", "--", "../migrations/*.sql").Output()
	revision := strings.TrimSpace(string(out))
	if err == nil && revision != "" {
		err = exec.CommandContext(t.Context(), "git", "rev-parse", "--verify", "--quiet", revision).Run()
	}
	if err != nil || revision == "" {
		skiptest.Loudly(t, "this clone has no history (git fetch --unshallow): the previous revision is not tried on the new schema")
	}
	return revision
}

// checkout is a folder with a revision.
func checkout(t *testing.T, revision string) string {
	t.Helper()
	folder := t.TempDir()
	archive := filepath.Join(folder, "revision.tar")
	run(t, "../..", "git", "archive", "--output", archive, revision)
	run(t, folder, "tar", "-xf", archive)
	return folder
}

func run(t *testing.T, folder, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

// migrate applies the migrations of a folder.
func migrate(t *testing.T, url, folder string) {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS(folder), goose.WithTableName("public.goose_db_version"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
}
