package stack

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/millrace/millrace/infra/stack/process"
)

// CanStandby says whether the programs for PostgreSQL bring what makes a standby:
// those of embedded-postgres do not.
func CanStandby(ctx context.Context, programs string) error {
	user, err := process.Unprivileged()
	if err != nil {
		return err
	}
	chosen, err := choosePostgres(ctx, PostgresConfig{Programs: programs, Reporter: Silent{}}, user, 0)
	if err != nil {
		return err
	}
	_, err = os.Stat(chosen.path("pg_basebackup"))
	return err
}

// StartStandby makes a streaming standby of a server as a copy of its data, and
// starts it. The primary knows it as name, and reaches it through feed, a URL of
// the primary. Nothing else is kept by the primary for it: a standby that falls
// far behind has to be made anew.
func StartStandby(ctx context.Context, cfg PostgresConfig, feed, name string) (*Postgres, error) {
	cfg.Reporter = reporter(cfg.Reporter)
	user, err := process.Unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := reachableDir(ctx, cfg, user)
	if err != nil {
		return nil, err
	}
	programs, err := choosePostgres(ctx, cfg, user, 0)
	if err != nil {
		return nil, err
	}
	source, err := url.Parse(feed)
	if err != nil {
		return nil, err
	}
	source.RawQuery = url.Values{"sslmode": {"disable"}, "application_name": {name}}.Encode()
	args := []string{
		"--dbname=" + source.String(), "--pgdata=" + filepath.Join(dir, "data"),
		"--wal-method=stream", "--checkpoint=fast", "--write-recovery-conf",
	}
	if cfg.Volatile {
		args = append(args, "--no-sync")
	}
	if _, err := process.Run(ctx, process.Spec{
		Path: programs.path("pg_basebackup"), Args: args, Env: postgresEnv(), Dir: dir, User: user,
	}); err != nil {
		return nil, fmt.Errorf("copying PostgreSQL's data for a standby: %s", strings.ReplaceAll(err.Error(), source.String(), name))
	}
	return StartPostgres(ctx, cfg)
}
