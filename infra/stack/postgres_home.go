package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/millrace/millrace/infra/stack/process"
)

// preparePostgres finds the programs, makes the data directory if there is
// none, and sees to it that no other server runs on it.
func preparePostgres(ctx context.Context, cfg PostgresConfig) (postgresHome, error) {
	user, err := process.Unprivileged()
	if err != nil {
		return postgresHome{}, err
	}
	dir, err := reachableDir(ctx, cfg, user)
	if err != nil {
		return postgresHome{}, err
	}
	home := postgresHome{data: filepath.Join(dir, "data"), user: user}
	major := dataMajor(home.data)
	if home.programs, err = choosePostgres(ctx, cfg, user, major); err != nil {
		return postgresHome{}, err
	}
	switch {
	case major != 0:
		return home, home.takeOver(cfg.Reporter)
	case cfg.Seed != "":
		return home, home.copySeed(ctx, cfg.Seed, dir)
	default:
		return home, home.initialise(ctx, cfg, dir)
	}
}

// dataMajor is the major version that made the data, 0 if there is none.
func dataMajor(data string) int {
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if err != nil {
		return 0
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return major
}

// initialise makes the data directory beside its place and moves it there
// when it is whole: a crash in between leaves nothing that looks like data.
func (h postgresHome) initialise(ctx context.Context, cfg PostgresConfig, dir string) (err error) {
	defer cfg.Reporter.Begin("making a PostgreSQL data directory")()
	unfinished := filepath.Join(dir, "data.unfinished")
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("removing an unfinished data directory: %w", err)
	}
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(postgresPassword+"\n"), 0o600); err != nil {
		return fmt.Errorf("making a PostgreSQL data directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(password)) }()
	if err := h.user.Own(password); err != nil {
		return err
	}
	args := []string{
		"-D", unfinished, "--username=" + postgresRole, "--pwfile=" + password,
		"--encoding=UTF8", "--no-locale",
	}
	if cfg.Volatile {
		// Tests open thousands of connections: no password hashing.
		args = append(args, "--auth=trust", "--no-sync")
	} else {
		args = append(args, "--auth=scram-sha-256")
	}
	if _, err := process.Run(ctx, process.Spec{
		Path: h.programs.path("initdb"), Args: args, Env: postgresEnv(), Dir: dir, User: h.user,
	}); err != nil {
		return fmt.Errorf("making a PostgreSQL data directory: %w", err)
	}
	return os.Rename(unfinished, h.data)
}

// copySeed copies the data of a stopped server. It runs as the user, who owns
// the seed and then the copy.
func (h postgresHome) copySeed(ctx context.Context, seed, dir string) error {
	unfinished := filepath.Join(dir, "data.unfinished")
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("removing an unfinished data directory: %w", err)
	}
	if _, err := process.Run(ctx, process.Spec{
		Path: "/bin/cp", Args: []string{"-R", "-p", filepath.Join(seed, "data"), unfinished}, Dir: dir, User: h.user,
	}); err != nil {
		return fmt.Errorf("copying a PostgreSQL data directory: %w", err)
	}
	return os.Rename(unfinished, h.data)
}

// reachableDir makes cfg.Dir for the user that the server runs as, and returns
// where the data shall be. Folders above it may be closed to that user, as
// root's home is: then the data goes to /var/lib/millrace and cfg.Dir becomes
// a link to it, so that removing cfg.Dir still means starting afresh.
func reachableDir(ctx context.Context, cfg PostgresConfig, user *process.User) (string, error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("making the folder of PostgreSQL's data: %w", err)
	}
	// Of a link to data that somebody has removed the target is made again.
	dir = followed(dir)
	if err := makeFor(dir, user); err != nil {
		return "", err
	}
	if reaches(ctx, dir, user) {
		return dir, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		return "", fmt.Errorf("the user %s, whom PostgreSQL runs as because root may not run it, cannot reach %s: make the folders above it accessible (chmod o+x)", user.Name, dir)
	}
	return outside(ctx, cfg, dir, user)
}

// followed is where a link leads, or dir itself.
func followed(dir string) string {
	if target, err := os.Readlink(dir); err == nil {
		return target
	}
	return dir
}

// outside puts an empty data folder where the user can reach it.
func outside(ctx context.Context, cfg PostgresConfig, dir string, user *process.User) (string, error) {
	const base = "/var/lib/millrace"
	if err := os.MkdirAll(base, 0o755); err != nil {
		return "", err
	}
	target, err := os.MkdirTemp(base, "postgres-")
	if err != nil {
		return "", err
	}
	if err := user.Own(target); err != nil {
		return "", err
	}
	if !reaches(ctx, target, user) {
		return "", fmt.Errorf("the user %s, whom PostgreSQL runs as because root may not run it, reaches neither %s nor %s: make the folders above one of them accessible (chmod o+x)", user.Name, dir, target)
	}
	if err := os.Remove(dir); err != nil {
		return "", err
	}
	if err := os.Symlink(target, dir); err != nil {
		return "", err
	}
	cfg.Reporter.Note(fmt.Sprintf("PostgreSQL runs as %s, who cannot reach %s: its data is in %s, linked from there", user.Name, dir, target))
	return target, nil
}

func makeFor(dir string, user *process.User) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making PostgreSQL's folder: %w", err)
	}
	if err := user.Own(dir); err != nil {
		return fmt.Errorf("giving PostgreSQL's folder to %s: %w", user.Name, err)
	}
	return nil
}

// reaches tells whether the user can work in dir: a program started as the
// user with dir as its working directory says it best, access lists and all.
func reaches(ctx context.Context, dir string, user *process.User) bool {
	if user == nil {
		return true
	}
	_, err := process.Run(ctx, process.Spec{Path: "/bin/sh", Args: []string{"-c", ":"}, Dir: dir, User: user})
	return err == nil
}
