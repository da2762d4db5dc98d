// Package platformtest makes checkouts whose programs are small fakes, for
// tests of what starts, watches and stops them. It keeps nothing.
package platformtest

import (
	_ "embed"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/millrace/millrace/infra/platform"
)

//go:embed fake/main.go.txt
var fake string

// Checkout makes a checkout with the functions trade and ledger, a trigger, a
// relay and a gateway. Each is ready at once, answers /env?name=X with what it was told,
// and writes who it is into the file $FAKE_DRAINED when it has drained.
func Checkout(t testing.TB) platform.Folders {
	t.Helper()
	root, err := os.MkdirTemp("", "millrace-checkout-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	files := map[string]string{"go.mod": "module " + platform.Module + "\n\ngo 1.26\n"}
	for _, dir := range []string{"functions/trade", "functions/ledger", "triggers/kafka", "triggers/relay", "triggers/http"} {
		files[dir+"/cmd/main.go"] = fake
	}
	for name, text := range files {
		file := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	// The user whom PostgreSQL runs as has to get in.
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	return platform.Folders{Root: root, Data: filepath.Join(root, platform.DataFolder)}
}
