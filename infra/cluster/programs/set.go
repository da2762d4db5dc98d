// Package programs builds what the test cluster runs, each set of programs from a
// module of its own below this folder: their pins differ.
//
// A crash leaves a half-built folder that no later build takes for a whole one.
package programs

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Set is what one module builds.
type Set struct {
	Name string
	// Minutes is what it takes on two cores from an empty cache.
	Minutes int
	ldflags string
}

// The sets.
var (
	Kubernetes = Set{"kubernetes", 5, "-X k8s.io/component-base/version.gitVersion=v1.34.4 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34"}
	Serving    = Set{"serving", 3, ""}
	Eventing   = Set{"eventing", 1, ""}
	CoreDNS    = Set{"coredns", 2, ""}
)

// All are all sets.
func All() []Set { return []Set{Kubernetes, Serving, Eventing, CoreDNS} }

// Folder is where a set's module lies in a checkout.
func (s Set) Folder(root string) string {
	return filepath.Join(root, "infra", "cluster", "programs", s.Name)
}

// Dir is where its programs are once they are built: another folder whenever what
// they are built from changes.
func (s Set) Dir(root, bin string) (string, error) {
	key, err := s.key(root)
	return filepath.Join(bin, s.Name+"-"+key), err
}

func (s Set) key(root string) (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), runtime.GOARCH, s.ldflags)
	folder := s.Folder(root)
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path) //nolint:gosec // the checkout's own files
		fmt.Fprintln(hash, strings.TrimPrefix(path, folder), len(text))
		hash.Write(text)
		return err
	})
	return hex.EncodeToString(hash.Sum(nil)[:6]), err
}
