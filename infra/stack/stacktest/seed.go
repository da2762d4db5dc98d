package stacktest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/millrace/millrace/infra/migrations"
	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/stack/process"
)

// seedFormat changes when what is put into a seed does, beside the migrations.
const seedFormat = "test-postgres-1"

// keepSeeds is how many seeds stay in the cache: for a few branches at a time.
const keepSeeds = 4

// startSeeded starts a server on a copy of a data directory that has the
// template already: with many packages, making both each time would take as
// long as their tests. One process makes the seed, the others wait for it.
func startSeeded(ctx context.Context, cfg stack.PostgresConfig) (*stack.Postgres, error) {
	cache, err := stack.CacheDir()
	if err != nil {
		// Without a home there is no cache, and all the same a server.
		return stack.StartPostgres(ctx, cfg)
	}
	unlock, err := process.Lock(filepath.Join(cache, "seed.lock"))
	if err != nil {
		return nil, err
	}
	// Nobody removes the seed while it is copied.
	defer unlock()
	major, err := stack.PostgresMajor(ctx, cfg.Programs, cfg.Reporter)
	if err != nil {
		return nil, err
	}
	seed := filepath.Join(cache, fmt.Sprintf("%s-%d-%s", seedFormat, major, migrations.Fingerprint()))
	if _, err := os.Stat(seed); err != nil {
		if err := makeSeed(ctx, cfg, seed); err != nil {
			return nil, fmt.Errorf("making a PostgreSQL data directory to copy: %w", err)
		}
		removeOldSeeds(cache)
	}
	cfg.Seed = seed
	return stack.StartPostgres(ctx, cfg)
}

// makeSeed makes the seed beside its place, and moves it there when it is
// whole and its server stopped.
func makeSeed(ctx context.Context, cfg stack.PostgresConfig, seed string) error {
	cfg.Dir = seed + ".unfinished"
	if err := os.RemoveAll(cfg.Dir); err != nil {
		return err
	}
	pg, err := stack.StartPostgres(ctx, cfg)
	if err != nil {
		return err
	}
	if err := errors.Join(makeTemplate(ctx, pg.URL), pg.Stop()); err != nil {
		return err
	}
	return os.Rename(cfg.Dir, seed)
}

// removeOldSeeds removes all but the newest. What cannot be removed now is
// tried again with the next seed.
func removeOldSeeds(cache string) {
	type aged struct {
		dir string
		age int64
	}
	var seeds []aged
	dirs, _ := filepath.Glob(filepath.Join(cache, "test-postgres-*")) // the pattern is well formed
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err == nil {
			seeds = append(seeds, aged{dir, info.ModTime().UnixNano()})
		}
	}
	slices.SortFunc(seeds, func(a, b aged) int { return cmp.Compare(b.age, a.age) })
	for _, old := range seeds[min(keepSeeds, len(seeds)):] {
		_ = os.RemoveAll(old.dir)
	}
}
