package programs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/stack/process"
)

// Build builds the sets that are not built yet.
func Build(ctx context.Context, root, bin string, report stack.Reporter) error {
	for _, s := range All() {
		dir, err := s.Dir(root, bin)
		if err != nil {
			return err
		}
		if _, err := os.Stat(dir); err == nil {
			continue
		}
		done := report.Begin(fmt.Sprintf("building %s (about %d min on two cores, the first time)", s.Name, s.Minutes))
		err = s.build(ctx, root, dir)
		done()
		if err != nil {
			return fmt.Errorf("building %s: %w", s.Name, err)
		}
	}
	return nil
}

// build builds beside the set's place, and moves it there when it is whole.
func (s Set) build(ctx context.Context, root, dir string) error {
	old, err := filepath.Glob(filepath.Join(filepath.Dir(dir), s.Name+"-*"))
	if err != nil {
		return err
	}
	unfinished := dir + ".unfinished"
	if err := os.MkdirAll(unfinished, 0o755); err != nil {
		return err
	}
	_, err = process.Run(ctx, process.Spec{
		Path: "go",
		// What go.mod names as tools, and the set's own programs.
		Args: []string{"build", "-mod=readonly", "-ldflags", "-s -w " + s.ldflags, "-o", unfinished + "/", "tool", "./..."},
		Env:  append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off"),
		Dir:  s.Folder(root),
	})
	if err != nil {
		return err
	}
	if err := os.Rename(unfinished, dir); err != nil {
		return err
	}
	for _, folder := range old {
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	return nil
}
