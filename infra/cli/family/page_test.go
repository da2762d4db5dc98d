package family

import (
	"errors"
	"go/format"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// codeBlock is an indented block after a line that names a file.
var codeBlock = regexp.MustCompile("(?m)^.*`([a-z0-9./-]+\\.(?:go|json|txt))`[^\\n]*\\n\\n((?:(?:    .*)?\\n)+)")

// followThePage changes function visit as docs/adding-a-function.md says, and
// returns the files that it changed.
func followThePage(t *testing.T, root, made string) (files []string) {
	t.Helper()
	page := string(read(t, root, "docs/adding-a-function.md"))
	for _, block := range codeBlock.FindAllStringSubmatch(page, -1) {
		text := regexp.MustCompile("(?m)^    ").ReplaceAllString(block[2], "")
		if strings.HasPrefix(text, "$ ") { // a command
			continue
		}
		file := filepath.Join("functions", "visit", block[1])
		files = append(files, file)
		edit(t, filepath.Join(made, file), strings.TrimRight(text, "\n")+"\n")
	}
	if len(files) != 5 {
		t.Errorf("the page changes %q", files)
	}
	return files
}

// edit adds text to a file: a rule to the rules, all else to its end.
func edit(t *testing.T, file, text string) {
	t.Helper()
	was, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	is := string(was) + "\n" + text
	if rule := ".v1\", count),\n"; strings.Contains(text, "function.On(") {
		is = strings.Replace(string(was), rule, rule+text, 1)
	}
	if filepath.Ext(file) == ".go" {
		formatted, err := format.Source([]byte(is))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		is = string(formatted)
	}
	if err := os.WriteFile(file, []byte(is), 0o644); err != nil {
		t.Fatal(err)
	}
}
