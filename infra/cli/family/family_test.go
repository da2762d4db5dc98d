package family

import (
	"bytes"
	"encoding/json"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/infra/topics"
)

// checkout copies what Make reads of this repository, and returns its root and
// the copy's.
func checkout(t *testing.T) (root, to string) {
	t.Helper()
	root, err := platform.FindRoot(".")
	if err != nil {
		t.Fatal(err)
	}
	to = t.TempDir()
	for _, folder := range []string{"docs", "functions", "triggers", "shared/kafka", "infra/knative", "infra/maintenance", "infra/migrations"} {
		from := filepath.Join(root, folder)
		if _, err := os.Stat(from); os.IsNotExist(err) {
			continue
		}
		if err := os.CopyFS(filepath.Join(to, folder), os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	return root, to
}

func read(t *testing.T, root, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestMakesAFunctionThatWorks makes two functions, and runs the tests of one,
// those that hold all schemas to the code, and those of the manifests.
func TestMakesAFunctionThatWorks(t *testing.T) {
	t.Parallel()
	root, made := checkout(t)
	var all []string
	for _, name := range []string{"visit", "a2"} {
		m, err := Make(made, name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, append(m.New, m.Changed...)...)
	}
	checkFormat(t, made, all)
	if first, second := number(t, all, "_visit.sql"), number(t, all, "_a2.sql"); first%10 != 0 || second != first+10 {
		t.Errorf("migrations %d and %d", first, second)
	}
	for file, want := range map[string]string{
		"functions/registry.go":  "{\n\t\ta2.New(),\n\t\t",
		"shared/kafka/topics.go": `"ledger", "visit", "a2"}`,
	} {
		if text := read(t, made, file); !bytes.Contains(text, []byte(want)) {
			t.Errorf("%s has no %q:\n%s", file, want, text)
		}
	}
	all = append(all, followThePage(t, root, made)...)
	checkFormat(t, made, all)
	c := copied(t, root, made, all)
	command(t, root, "go", "build", "-ldflags=-s -w", "-overlay", c.overlay, "-o", filepath.Join(t.TempDir(), "function"), "./functions/visit/cmd")
	const schemas = "Scenarios|Refusals|Sum|Partial|Schema|Example"
	c.runTests(t, ".", "functions/visit", schemas)
	c.runTests(t, ".", "functions", schemas)
	// There are connections for them, a quota, a way to each.
	c.runTests(t, "infra/knative", "infra/knative", "TestManifests|TestTopics|TestStores|TestOneWayCanHandOverToTheOther")
}

func checkFormat(t *testing.T, root string, files []string) {
	t.Helper()
	for _, file := range files {
		if filepath.Ext(file) != ".go" {
			continue
		}
		text := read(t, root, file)
		if formatted, err := format.Source(text); err != nil || !bytes.Equal(formatted, text) {
			t.Errorf("%s is not formatted: %v", file, err)
		}
	}
}

// checkedOut is the repository, and a copy in which functions were made.
type checkedOut struct{ root, made, overlay string }

// copied notes for the compiler which files were made. What uses them is built as
// if they were in root, where all that did not change has been built before.
func copied(t *testing.T, root, made string, files []string) checkedOut {
	t.Helper()
	replace := map[string]string{}
	for _, file := range files {
		replace[filepath.Join(root, file)] = filepath.Join(made, file)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(file, overlay, 0o644); err != nil {
		t.Fatal(err)
	}
	return checkedOut{root, made, file}
}

// runTests runs tests of a package of a module in the copy, by their names.
func (c checkedOut) runTests(t *testing.T, module, pkg, names string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "test")
	command(t, filepath.Join(c.root, module), "go", "test", "-mod=mod", "-c", "-vet=off", "-ldflags=-s -w", "-overlay", c.overlay, "-o", program, filepath.Join(c.root, pkg))
	command(t, filepath.Join(c.made, pkg), program, "-test.run", names)
}

func command(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s in %s: %v\n%s", cmd, dir, err, out)
	}
}

// find returns the path that ends so.
func find(t *testing.T, files []string, end string) string {
	t.Helper()
	i := slices.IndexFunc(files, func(file string) bool { return strings.HasSuffix(file, end) })
	if i < 0 {
		t.Fatalf("there is no *%s in %q", end, files)
	}
	return files[i]
}

// number returns that of the migration which ends so.
func number(t *testing.T, files []string, end string) int {
	t.Helper()
	n, err := numberOf(find(t, files, end))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestErrorsChangeNothing(t *testing.T) {
	t.Parallel()
	_, root := checkout(t)
	before := list(t, root)
	for _, c := range []struct{ name, want string }{
		{"", "is no name"}, {"v", "is no name"}, {"Visit", "is no name"}, {"my-visit", "is no name"}, {"my_visit", "is no name"},
		{"2visit", "is no name"}, {"../visit", "is no name"}, {"visité", "is no name"}, {strings.Repeat("v", 31), "is no name"},
		{"func", "a word of Go"}, {"string", "a word of Go"}, {"function", "something else"}, {"runtime", "something else"},
		{"trade", "already"}, {"message", "already"},
	} {
		if _, err := Make(root, c.name); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want one with %q", c.name, err, c.want)
		}
	}
	if after := list(t, root); !slices.Equal(before, after) {
		t.Errorf("there are %q, there were %q", after, before)
	}
	if err := os.Mkdir(filepath.Join(root, "functions", "visit"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Make(root, "visit"); err == nil || err.Error() != "functions/visit is there already" {
		t.Errorf("error %v", err)
	}
	registry := filepath.Join(root, "functions", "registry.go")
	if err := os.WriteFile(registry, []byte("package functions\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Make(root, "call"); err == nil || !strings.Contains(err.Error(), "functions/registry.go: no line matches") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(filepath.Join(root, "functions", "call")); !os.IsNotExist(err) {
		t.Errorf("a part was made: %v", err)
	}
}

// list lists the files where something may be made.
func list(t *testing.T, root string) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"functions/*", "infra/migrations/*"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, files...)
	}
	return all
}

const manifest = `# The functions: names.yaml has what differs, trade and ledger among them.
resources:
  - names.yaml
patches:
  - target: { name: trade }
    patch: trade.yaml
  - target: { name: ledger }
    patch: ledger.yaml
images:
  - name: relay
---
kind: Deployment
metadata: { name: ledger-trigger }
spec:
  containers:
    - name: trigger
      env:
        - { name: KAFKA_TOPICS, value: ledger-events }
---
kind: SinkBinding
metadata: { name: ledger-trigger }
---
kind: Other
`

const withVisit = `# The functions: names.yaml has what differs, trade and ledger among them.
resources:
  - names.yaml
patches:
  - target: { name: trade }
    patch: trade.yaml
  - target: { name: ledger }
    patch: ledger.yaml
  - target: { name: visit }
    patch: visit.yaml
images:
  - name: relay
---
kind: Deployment
metadata: { name: ledger-trigger }
spec:
  containers:
    - name: trigger
      env:
        - { name: KAFKA_TOPICS, value: ledger-events }
---
kind: SinkBinding
metadata: { name: ledger-trigger }
---
kind: Deployment
metadata: { name: visit-trigger }
spec:
  containers:
    - name: trigger
      env:
        - { name: KAFKA_TOPICS, value: visit-events }
---
kind: SinkBinding
metadata: { name: visit-trigger }
---
kind: Other
`

func TestCopiesWhatIsAboutTheSister(t *testing.T) {
	t.Parallel()
	if got := copyBlocks(manifest, "visit", topics.Functions()); got != withVisit {
		t.Errorf("got\n%s", got)
	}
}
