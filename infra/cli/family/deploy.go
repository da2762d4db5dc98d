package family

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// sister is the function whose manifests a new one's are copied from.
const sister = "ledger"

// deploy plans to copy, in every manifest, what is about the sister: its Knative
// Service and trigger, and its entries in lists.
func (p *plan) deploy() error {
	files, err := manifests(p.root)
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(p.root, file))
		if err != nil {
			return err
		}
		if copied := copyBlocks(string(text), p.name, p.functions); copied != string(text) {
			p.changed[file] = []byte(copied)
		}
	}
	return err
}

// manifests returns the paths of all manifests.
func manifests(root string) (files []string, err error) {
	for _, folder := range []string{"infra/knative", "triggers"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" {
				return err
			}
			path, err = filepath.Rel(root, path)
			files = append(files, path)
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return files, nil
}

// blockStart begins a document, or an element of a list that is not nested.
var blockStart = regexp.MustCompile(`^(---$|- |  - )`)

// copyBlocks copies the blocks that are about the sister alone, and puts the
// copies, for name, behind them and those of the functions that were made after
// the sister.
func copyBlocks(text, name string, functions []string) string {
	word := regexp.MustCompile(`\b` + sister + `\b`)
	later := functions[slices.Index(functions, sister)+1:]
	var out, copies strings.Builder
	for _, block := range blocks(text) {
		switch about := named(block, functions); {
		case slices.Equal(about, []string{sister}):
			copies.WriteString(word.ReplaceAllString(block, name))
		case len(about) != 1 || !slices.Contains(later, about[0]):
			out.WriteString(copies.String())
			copies.Reset()
		}
		out.WriteString(block)
	}
	return out.String() + copies.String()
}

// blocks takes text apart into documents and elements. What is not indented
// ends an element.
func blocks(text string) (list []string) {
	inElement := false
	for line := range strings.Lines(text) {
		starts := blockStart.MatchString(strings.TrimSuffix(line, "\n"))
		if len(list) == 0 || starts || inElement && line[0] != ' ' {
			list = append(list, "")
			inElement = starts && line != "---\n"
		}
		list[len(list)-1] += line
	}
	return list
}

// named returns the functions that a block names.
func named(block string, functions []string) []string {
	return slices.DeleteFunc(slices.Clone(functions), func(name string) bool {
		return !regexp.MustCompile(`\b` + name + `\b`).MatchString(block)
	})
}
