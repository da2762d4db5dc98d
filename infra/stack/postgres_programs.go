package stack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/infra/stack/process"
)

// postgresPrograms are the server programs of one PostgreSQL installation.
type postgresPrograms struct {
	bin    string
	major  int
	origin string
}

func (p postgresPrograms) path(name string) string { return filepath.Join(p.bin, name) }

// Embedded as PostgresConfig.Programs asks for those that embedded-postgres brings.
const Embedded = "embedded"

// choosePostgres returns the programs to run data of that major version (0 for
// new data) with.
func choosePostgres(ctx context.Context, cfg PostgresConfig, user *process.User, dataMajor int) (postgresPrograms, error) {
	switch cfg.Programs {
	case "":
		if programs, ok := findPostgres(ctx, user, dataMajor); ok {
			return programs, nil
		}
		return downloadPostgres(ctx, cfg.Reporter, user, dataMajor)
	case Embedded:
		return downloadPostgres(ctx, cfg.Reporter, user, dataMajor)
	}
	major := postgresMajor(ctx, cfg.Programs, user)
	switch {
	case major == 0:
		return postgresPrograms{}, fmt.Errorf("no PostgreSQL programs that run are in %s", cfg.Programs)
	case major < MinPostgres:
		return postgresPrograms{}, fmt.Errorf("the PostgreSQL in %s is version %d, Millrace needs %d or newer", cfg.Programs, major, MinPostgres)
	case dataMajor != 0 && major != dataMajor:
		return postgresPrograms{}, fmt.Errorf("the data was made by PostgreSQL %d, and %s is version %d: use programs of that version, or remove the data to start afresh", dataMajor, cfg.Programs, major)
	}
	return newPrograms(cfg.Programs, major), nil
}

// PostgresMajor is the major version of the programs that StartPostgres would
// make new data with.
func PostgresMajor(ctx context.Context, programs string, report Reporter) (int, error) {
	user, err := process.Unprivileged()
	if err != nil {
		return 0, err
	}
	chosen, err := choosePostgres(ctx, PostgresConfig{Programs: programs, Reporter: reporter(report)}, user, 0)
	return chosen.major, err
}

func newPrograms(bin string, major int) postgresPrograms {
	return postgresPrograms{bin: bin, major: major, origin: fmt.Sprintf("PostgreSQL %d from %s", major, bin)}
}

// findPostgres returns the first local installation that is new enough or,
// when data exists already, the first of the data's major version: another
// one could not read it. ok is false if there is none.
func findPostgres(ctx context.Context, user *process.User, dataMajor int) (programs postgresPrograms, ok bool) {
	for _, bin := range postgresFolders(ctx) {
		major := postgresMajor(ctx, bin, user)
		if major < MinPostgres || (dataMajor != 0 && major != dataMajor) {
			continue
		}
		return newPrograms(bin, major), true
	}
	return postgresPrograms{}, false
}

// postgresFolders lists where server programs usually are, best first.
func postgresFolders(ctx context.Context) []string {
	var folders []string
	add := func(folder string) {
		// /usr/local/bin/postgres is often a link into the real folder, and
		// initdb looks for its siblings and its share folder from there.
		server, err := filepath.EvalSymlinks(filepath.Join(folder, "postgres"))
		if err != nil {
			return
		}
		folder = filepath.Dir(server)
		if _, err := os.Stat(filepath.Join(folder, "initdb")); err == nil && !slices.Contains(folders, folder) {
			folders = append(folders, folder)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		add(strings.TrimSpace(string(out)))
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		add(filepath.Dir(path))
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",          // Debian, Ubuntu
		"/usr/pgsql-*/bin",                   // Fedora, RHEL
		"/usr/libexec/postgresql*",           // Alpine
		"/opt/homebrew/opt/postgresql@*/bin", // Homebrew on Apple silicon
		"/usr/local/opt/postgresql@*/bin",    // Homebrew on Intel
		"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	} {
		found, _ := filepath.Glob(pattern) // the patterns are well formed
		slices.Reverse(found)              // newest first
		for _, folder := range found {
			add(folder)
		}
	}
	return folders
}

var postgresVersion = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// postgresMajor asks initdb for its version as the user who will run it, so
// that programs which that user may not execute do not count. 0 means unusable.
func postgresMajor(ctx context.Context, bin string, user *process.User) int {
	out, err := process.Run(ctx, process.Spec{
		Path: filepath.Join(bin, "initdb"), Args: []string{"--version"}, Env: postgresEnv(), Dir: "/", User: user,
	})
	if err != nil {
		return 0
	}
	match := postgresVersion.FindStringSubmatch(out)
	if match == nil {
		return 0
	}
	major, err := strconv.Atoi(match[1])
	if err != nil {
		return 0
	}
	return major
}
