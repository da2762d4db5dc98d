package family

import (
	"errors"
	"fmt"
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

// TestThePageRemovesWhatWasMade makes and changes visit, and removes it as the
// page says: git then finds nothing.
func TestThePageRemovesWhatWasMade(t *testing.T) {
	t.Parallel()
	root, made := checkout(t)
	const git = "git -c user.name=t -c user.email=t@t -c core.hooksPath=/dev/null "
	command(t, made, "sh", "-c", "git init -q && "+git+"add . && "+git+"commit -q -m before")
	m, err := Make(made, "visit")
	if err != nil {
		t.Fatal(err)
	}
	followThePage(t, root, made)
	edit(t, filepath.Join(made, "docs/asyncapi.json"), "visit-events") // as a test of infra/layout does
	_, section, _ := strings.Cut(string(read(t, root, "docs/adding-a-function.md")), "## Remove it again\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, line := range regexp.MustCompile(`(?m)^    \$ (.*)$`).FindAllStringSubmatch(section, -1) {
		command(t, made, "sh", "-c", line[1])
	}
	command(t, made, "sh", "-c", `left=$(git status --porcelain) && test -z "$left" || { echo "$left"; exit 1; }`)
	for _, sql := range []string{
		"DROP TABLE millrace.visit_counters;",
		fmt.Sprintf("DELETE FROM public.goose_db_version WHERE version_id = %d;", number(t, m.New, "_visit.sql")),
	} {
		if !strings.Contains(section, "    "+sql+"\n") {
			t.Errorf("the page does not say: %s", sql)
		}
	}
}
