package programs

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/millrace/millrace/infra/stack/process"
)

// Module is the folder of a module that a set is built from: Knative's resources
// lie beside its code.
func (s Set) Module(ctx context.Context, root, path string) (string, error) {
	out, err := process.Run(ctx, process.Spec{
		Path: "go", Args: []string{"list", "-mod=readonly", "-m", "-f", "{{.Dir}}", path},
		Env: append(os.Environ(), "GOWORK=off"), Dir: s.Folder(root),
	})
	if err != nil {
		return "", err
	}
	dir := strings.TrimSpace(out)
	if dir == "" {
		return "", fmt.Errorf("module %s is not in the cache", path)
	}
	return dir, nil
}
