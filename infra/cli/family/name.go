package family

import (
	"fmt"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/millrace/millrace/infra/topics"
)

// A name is a Go package, the first word of event types, and a part of the names
// of tables, topics and Knative Services: this is what all of them allow.
var wellFormed = regexp.MustCompile(`^[a-z][a-z0-9]{1,29}$`)

// taken are names that stand for something else where a function's would be.
var taken = []string{
	"all", "cmd", "function", "functions", "http", "init", "internal", "kafka", "main", "millrace", "relay", "runtime",
	"schema", "testdata", "trigger", "vendor",
}

// checkName checks the name of a function that is to be made at root.
func checkName(root, name string) error {
	switch {
	case !wellFormed.MatchString(name):
		return fmt.Errorf("%q is no name for a function: want 2 to 30 letters a to z and digits, a letter first, such as visit", name)
	case token.IsKeyword(name), types.Universe.Lookup(name) != nil:
		return fmt.Errorf("%q is no name for a function: it is a word of Go", name)
	case slices.Contains(taken, name):
		return fmt.Errorf("%q is no name for a function: Millrace uses it for something else", name)
	case slices.Contains(topics.Functions(), name):
		return fmt.Errorf("%q is a function of Millrace already", name)
	}
	folder := filepath.Join("functions", name)
	if _, err := os.Lstat(filepath.Join(root, folder)); err == nil {
		return fmt.Errorf("%s is there already", folder)
	}
	return nil
}
