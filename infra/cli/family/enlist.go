package family

import (
	"errors"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/millrace/millrace/infra/platform"
)

// enlist enters the function into the lists of the Go code.
func (p *plan) enlist() error {
	if err := p.change("functions/registry.go", register); err != nil {
		return err
	}
	return p.change("shared/kafka/topics.go", func(text, name string) (edited string, err error) {
		edited, p.functions, err = addTopic(text, name)
		return edited, err
	})
}

// change plans to change a Go file.
func (p *plan) change(path string, edit func(text, name string) (string, error)) error {
	text, err := os.ReadFile(filepath.Join(p.root, path))
	if err != nil {
		return err
	}
	edited, err := edit(string(text), p.name)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	p.changed[path], err = format.Source([]byte(edited))
	return err
}

// register enters a function into the registry.
func register(text, name string) (string, error) {
	text, err := insert(text, `^\t"`+platform.Module+`/functions/`, fmt.Sprintf("\t%q\n", platform.Module+"/functions/"+name))
	if err != nil {
		return "", err
	}
	return insert(text, `^\t\t\w+\.New\(\),$`, fmt.Sprintf("\t\t%s.New(),\n", name))
}

// insert inserts line among the sorted lines that match like.
func insert(text, like, line string) (string, error) {
	pattern := regexp.MustCompile(like)
	lines := slices.Collect(strings.Lines(text))
	at := -1
	for i, l := range lines {
		if pattern.MatchString(strings.TrimSuffix(l, "\n")) && (at < 0 || l < line) {
			at = i
			if l < line {
				at = i + 1
			}
		}
	}
	if at < 0 {
		return "", fmt.Errorf("no line matches %s: is it no list of functions any more?", like)
	}
	return strings.Join(slices.Insert(lines, at, line), ""), nil
}

// listed is the list of the topics, up to its last name.
var listed = regexp.MustCompile(`func Functions\(\) \[\]string \{\s*return \[\]string\{([^}]*"\w+")`)

// addTopic enters a function into the topics, and returns those that are there.
// They are in the order of the ports, so a new one is the last.
func addTopic(text, name string) (edited string, functions []string, err error) {
	found := listed.FindStringSubmatchIndex(text)
	if found == nil {
		return "", nil, errors.New("there is no list of functions in it")
	}
	for _, quoted := range regexp.MustCompile(`"\w+"`).FindAllString(text[found[2]:found[3]], -1) {
		functions = append(functions, strings.Trim(quoted, `"`))
	}
	return text[:found[1]] + fmt.Sprintf(", %q", name) + text[found[1]:], functions, nil
}
