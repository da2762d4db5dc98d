package programs

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/millrace/millrace/infra/stack/process"
)

// Module is the folder of a module that a set is built from: Knative's resources
// lie beside its code. It is fetched if it is not in Go's cache: one whose code
// nobody needs is there by no build.
func (s Set) Module(ctx context.Context, root, path string) (string, error) {
	out, err := process.Run(ctx, process.Spec{
		Path: "go", Args: []string{"mod", "download", "-json", path},
		Env: append(os.Environ(), "GOWORK=off", "GOFLAGS="), Dir: s.Folder(root),
	})
	if err != nil {
		return "", err
	}
	var module struct {
		Dir string `json:"Dir"`
	}
	if err := json.Unmarshal([]byte(out), &module); err != nil {
		return "", fmt.Errorf("module %s: %w", path, err)
	}
	return module.Dir, nil
}
