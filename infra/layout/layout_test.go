package layout

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/millrace/millrace/"

type goPackage struct {
	ImportPath string   `json:"ImportPath"`
	Name       string   `json:"Name"`
	Doc        string   `json:"Doc"`
	Imports    []string `json:"Imports"`
	GoFiles    []string `json:"GoFiles"`
}

// list runs go list from the top of the repository.
func list(t *testing.T, args ...string) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Name,Doc,Imports,GoFiles"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		if failed, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %v\n%s", err, failed.Stderr)
		}
		t.Fatal(err)
	}
	var packages []goPackage
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		packages = append(packages, p)
	}
}

// within reports whether path is dir or below it.
func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// family returns the folder of a function's package, such as functions/trade.
func family(path string) string {
	parts := strings.Split(path, "/")
	if len(parts) < 2 || parts[0] != "functions" {
		return ""
	}
	return parts[0] + "/" + parts[1]
}

// testOnly says whether only tests may use a package, which then may use what it
// likes.
func testOnly(path string) bool {
	return strings.HasSuffix(path, "test") || slices.Contains([]string{"infra/layout", "infra/readme", "infra/e2e", "shared/runtime/scenario"}, path)
}

func TestWhoMayImportWhom(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, "./...") {
		if testOnly(p.ImportPath) {
			continue
		}
		for _, imported := range p.Imports {
			imported, ours := strings.CutPrefix(imported, module)
			if !ours {
				continue
			}
			if why := forbidden(p.ImportPath, imported); why != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, imported, why)
			}
		}
	}
}

func forbidden(importer, imported string) string {
	switch {
	case testOnly(imported):
		return "that is for tests"
	case within(importer, "shared") && !within(imported, "shared"):
		return "the runtime knows neither functions nor what moves events"
	case family(importer) != "" && family(imported) != "" && family(importer) != family(imported):
		return "functions do not import each other"
	case family(importer) != "" && !within(imported, "shared") && family(imported) == "":
		return "a function imports the runtime, and nothing else of ours"
	case within(importer, "triggers") && within(imported, "infra"):
		return "triggers run without what the platform stands on"
	}
	return ""
}

// A function starts in milliseconds and stays small: what belongs to tools and
// to the trigger is not linked into it.
func TestFunctionsStaySmall(t *testing.T) {
	t.Parallel()
	heavy := []string{
		"knative.dev/", "k8s.io/", "github.com/twmb/franz-go", "github.com/spf13/cobra", "github.com/pressly/goose",
		"github.com/fergusstrange/", "github.com/alicebob/", "go.opentelemetry.io/otel/exporters/",
		"google.golang.org/grpc", "github.com/cockroachdb/datadriven", "pgregory.net/rapid", "testing",
	}
	for _, command := range list(t, "./functions/...") {
		if command.Name != "main" {
			continue
		}
		for _, dep := range list(t, "-deps", "./"+command.ImportPath) {
			for _, h := range heavy {
				if strings.HasPrefix(dep.ImportPath, h) && (h != "testing" || dep.ImportPath == h) {
					t.Errorf("%s links %s", command.ImportPath, dep.ImportPath)
				}
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, "./...") {
		if p.Doc == "" && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}
