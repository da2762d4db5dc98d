package platform

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Module is the module path of this repository.
const Module = "github.com/millrace/millrace"

// DataFolder is the folder at the root of the repository that holds everything
// that the platform keeps.
const DataFolder = ".millrace"

// FindRoot finds the root of the repository from a folder within it: programs
// are built from its source.
func FindRoot(from string) (string, error) {
	from, err := filepath.Abs(from)
	if err != nil {
		return "", err
	}
	for dir := from; ; {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module "+Module+"\n") {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("%s is not within a checkout of %s: the platform is built from its source, so change into it", from, Module)
		}
		dir = parent
	}
}

// Folders are those that a platform uses.
type Folders struct {
	// Root is the checkout.
	Root string
	// Data holds everything else; removing it starts afresh.
	Data string
	// Bin is where programs are built; empty: in Data. What is there and up to
	// date is not built again.
	Bin string
}

func (f Folders) bin(name string) string {
	if f.Bin != "" {
		return filepath.Join(f.Bin, name)
	}
	return filepath.Join(f.Data, "bin", name)
}

func (f Folders) run(name string) string  { return filepath.Join(f.Data, "run", name) }
func (f Folders) part(name string) string { return filepath.Join(f.Data, name) }

// LogFile is where the output of a process goes.
func (f Folders) LogFile(name string) string { return filepath.Join(f.Data, "log", name+".log") }

// maxLog is when a log is set aside for a new one at a start.
const maxLog = 16 << 20

// openLog opens a process's log for appending. One that has grown large is
// kept as .old, so that logs stay bounded over many starts.
func (f Folders) openLog(name string) (*os.File, error) {
	file := f.LogFile(name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, fmt.Errorf("making the folder for logs: %w", err)
	}
	if info, err := os.Stat(file); err == nil && info.Size() > maxLog {
		if err := os.Rename(file, file+".old"); err != nil {
			return nil, fmt.Errorf("setting a large log aside: %w", err)
		}
	}
	log, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening a log: %w", err)
	}
	return log, nil
}

// make makes the data folder. It is the platform's, so it keeps itself out of
// version control wherever it is.
func (f Folders) make() error {
	if err := os.MkdirAll(f.Data, 0o755); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	ignore := filepath.Join(f.Data, ".gitignore")
	if _, err := os.Stat(ignore); errors.Is(err, os.ErrNotExist) {
		return os.WriteFile(ignore, []byte("*\n"), 0o644)
	}
	return nil
}

// TemporaryData makes a new data folder, whose name begins so, on the disk that
// the checkout is on: one in memory would make a commit cheaper than it is.
func TemporaryData(root, name string) (string, error) {
	parent := filepath.Join(root, DataFolder)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	data, err := os.MkdirTemp(parent, name)
	if err != nil {
		return "", err
	}
	return data, os.Chmod(data, 0o755) // PostgreSQL may run as another user
}
