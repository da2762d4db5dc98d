package stack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/millrace/millrace/infra/stack/process"
)

// takeOver sees to it that no server of an earlier run holds the data. After a
// kill -9 of `millrace up` the server is still shutting down or, where the
// kernel sends no signal, still running; its lock file may also name a process
// that is long gone, or somebody else who got its pid (in a container pids
// repeat at each start, and PostgreSQL then refuses to start).
func (h postgresHome) takeOver(report Reporter) error {
	lock := filepath.Join(h.data, "postmaster.pid")
	pid, err := lockHolder(lock)
	if err != nil || pid == 0 || !process.Running(pid) {
		return err
	}
	if !servesData(pid, h.data) {
		if err := os.Remove(lock); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing a stale PostgreSQL lock file: %w", err)
		}
		return nil
	}
	defer report.Begin(fmt.Sprintf("stopping the PostgreSQL (pid %d) that an earlier run left over", pid))()
	if err := process.End(pid, syscall.SIGINT, 20*time.Second); err != nil {
		return fmt.Errorf("PostgreSQL of an earlier run: %w", err)
	}
	return nil
}

// EndPostgres ends the server that an earlier run left over on the data in dir.
func EndPostgres(dir string, report Reporter) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	return postgresHome{data: filepath.Join(followed(dir), "data")}.takeOver(reporter(report))
}

// lockHolder reads the pid from a postmaster.pid; 0 without one.
func lockHolder(lock string) (int, error) {
	text, err := os.ReadFile(lock)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading PostgreSQL's lock file: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 1 {
		return 0, nil //nolint:nilerr // a torn lock file names nobody; PostgreSQL overwrites it
	}
	return pid, nil
}

// servesData tells whether a process is a PostgreSQL server on this data
// directory: it was started here with the directory on its command line.
func servesData(pid int, data string) bool {
	line := process.CommandLine(pid)
	return strings.Contains(line, "postgres") && strings.Contains(line, data)
}
