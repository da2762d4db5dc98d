package layout

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the tables of docs/servers.md")

// The tables of settings in the documentation are made of the structs that the
// code reads, so that they can neither lack one nor explain one that is gone.
func TestSettingsAreDocumented(t *testing.T) {
	t.Parallel()
	const file = "../../docs/servers.md"
	doc, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(doc)
	for name, dirs := range map[string][]string{
		"function": {"shared/runtime", "shared/binding", "shared/postgres", "shared/kafka"},
		"trigger":  {"triggers/kafka", "shared/kafka"},
		"relay":    {"triggers/relay", "shared/postgres", "shared/kafka"},
		"http":     {"triggers/http", "shared/binding", "shared/kafka"},
		"maintain": {"infra/maintenance"},
		"traces":   {"shared/trace"},
	} {
		var rows strings.Builder
		rows.WriteString("| variable | default | |\n| --- | --- | --- |\n")
		for _, dir := range dirs {
			rows.WriteString(settings(t, filepath.Join("../..", dir)))
		}
		if name == "relay" {
			rows.WriteString("\n`DRAIN_LIMIT`, `PARKED_LIMIT` and `DEAD_LETTER_LIMIT` are as for a function.\n")
		}
		begin, end := fmt.Sprintf("<!-- %s -->\n", name), fmt.Sprintf("<!-- end of %s -->", name)
		head, rest, ok := strings.Cut(text, begin)
		old, tail, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("docs/servers.md has no place for the table %q", name)
		}
		if want := rows.String(); old != want && !*update {
			t.Errorf("the table of the %s in docs/servers.md differs from the code: go test ./infra/layout -update", name)
		}
		text = head + begin + rows.String() + end + tail
	}
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// settings returns the table rows of all struct fields of a package that are
// read from the environment.
func settings(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var rows strings.Builder
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if s, ok := n.(*ast.StructType); ok {
				rows.WriteString(structRows(t, s))
			}
			return true
		})
	}
	return rows.String()
}

func structRows(t *testing.T, s *ast.StructType) string {
	t.Helper()
	var rows strings.Builder
	var comment string
	variables := variablesOf(s)
	for _, field := range s.Fields.List {
		if text := strings.Join(strings.Fields(field.Doc.Text()), " "); text != "" {
			comment = text
		}
		if field.Tag == nil {
			comment = ""
			continue
		}
		tag := reflect.StructTag(strings.Trim(field.Tag.Value, "`"))
		name := tag.Get("env")
		if name == "" {
			continue
		}
		value := "`" + tag.Get("envDefault") + "`"
		switch {
		case strings.HasPrefix(comment, "Required: "):
			value = "required"
		case value == "``":
			value = ""
		}
		text := strings.TrimPrefix(comment, "Required: ")
		if text == "" {
			t.Errorf("the setting %s has no comment", name)
			continue
		}
		fmt.Fprintf(&rows, "| `%s` | %s | %s |\n", name, value, sentence(text, variables))
	}
	return rows.String()
}

// variablesOf tells by what variable each field is set.
func variablesOf(s *ast.StructType) map[string]string {
	variables := map[string]string{}
	for _, field := range s.Fields.List {
		if field.Tag == nil || len(field.Names) == 0 {
			continue
		}
		if name := reflect.StructTag(strings.Trim(field.Tag.Value, "`")).Get("env"); name != "" {
			variables[field.Names[0].Name] = name
		}
	}
	return variables
}

var (
	word  = regexp.MustCompile(`\b[A-Z]\w*\b`)
	being = regexp.MustCompile("^`[A-Z_]+`(?: and `[A-Z_]+`)? (?:is|are) ")
)

// sentence makes of a comment what an operator reads, who knows the variables
// and not the fields: "Shards is how many" becomes "How many".
func sentence(comment string, variables map[string]string) string {
	text := word.ReplaceAllStringFunc(comment, func(field string) string {
		if variable, ok := variables[field]; ok {
			return "`" + variable + "`"
		}
		return field
	})
	text = strings.ReplaceAll(being.ReplaceAllString(text, ""), "<", `\<`) // no HTML
	return strings.ToUpper(text[:1]) + text[1:]
}

func TestSentencesAreForOperators(t *testing.T) {
	t.Parallel()
	variables := map[string]string{"Shards": "SHARDS", "RetryMin": "RETRY_MIN", "Retries": "RETRIES"}
	for comment, want := range map[string]string{
		"Shards is how many.":                 "How many.",
		"Shards and Retries are how many.":    "How many.",
		"Retries bounds it, as Shards; Other": "`RETRIES` bounds it, as `SHARDS`; Other",
		"the URL of <topic>":                  `The URL of \<topic>`,
	} {
		if got := sentence(comment, variables); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
