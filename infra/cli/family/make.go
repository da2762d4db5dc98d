package family

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"go/format"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

// templates are the files of a new function, each at its path in the repository
// with NAME and NUMBER for what they say.
//
//go:embed templates
var templates embed.FS

// Made says what Make did, as paths in the repository.
type Made struct{ New, Changed []string }

// plan is what Make is to write.
type plan struct {
	root, name     string
	functions      []string          // that are there, in the order of the topics
	added, changed map[string][]byte // by path in the repository
}

// Make makes the function called name in the repository at root.
func Make(root, name string) (Made, error) {
	if err := checkName(root, name); err != nil {
		return Made{}, err
	}
	p := &plan{root: root, name: name, added: map[string][]byte{}, changed: map[string][]byte{}}
	if err := errors.Join(p.fill(), p.enlist(), p.deploy()); err != nil {
		return Made{}, fmt.Errorf("planning function %s: %w", name, err)
	}
	made := Made{New: slices.Sorted(maps.Keys(p.added)), Changed: slices.Sorted(maps.Keys(p.changed))}
	if err := p.write(); err != nil {
		return made, fmt.Errorf("writing function %s (git status shows what is there of it): %w", name, err)
	}
	return made, nil
}

// fill fills the templates in.
func (p *plan) fill() error {
	number, err := nextNumber(p.root)
	if err != nil {
		return err
	}
	paths := strings.NewReplacer("NAME", p.name, "NUMBER", fmt.Sprintf("%05d", number), ".tmpl", "")
	return fs.WalkDir(templates, "templates", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := p.execute(path)
		p.added[paths.Replace(strings.TrimPrefix(path, "templates/"))] = text
		return err
	})
}

func (p *plan) execute(path string) ([]byte, error) {
	t, err := template.ParseFS(templates, path)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, struct{ Name string }{p.name}); err != nil {
		return nil, err
	}
	if !strings.HasSuffix(path, ".go.tmpl") {
		return out.Bytes(), nil
	}
	return format.Source(out.Bytes())
}

// write writes what is planned. It overwrites nothing but what it read.
func (p *plan) write() error {
	for _, path := range slices.Sorted(maps.Keys(p.added)) {
		file := filepath.Join(p.root, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		_, err = f.Write(p.added[path])
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	for _, path := range slices.Sorted(maps.Keys(p.changed)) {
		if err := os.WriteFile(filepath.Join(p.root, path), p.changed[path], 0o644); err != nil {
			return err
		}
	}
	return nil
}
