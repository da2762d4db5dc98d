package programs_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/millrace/millrace/infra/cluster/programs"
)

func TestASetIsBuiltAgainWhenWhatItIsBuiltFromChanges(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	folder := programs.CoreDNS.Folder(root)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	dir := func(file, text string) string {
		if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		dir, err := programs.CoreDNS.Dir(root, "bin")
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
	first := dir("go.mod", "module one")
	if again := dir("go.mod", "module one"); again != first {
		t.Errorf("the same in %s and %s", first, again)
	}
	if again := dir("main_test.go", "package main"); again != first {
		t.Errorf("a test changed %s to %s", first, again)
	}
	if other := dir("go.mod", "module two"); other == first {
		t.Errorf("another go.mod changed nothing: %s", other)
	}
}
