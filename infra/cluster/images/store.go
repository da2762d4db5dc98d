package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/millrace/millrace/infra/cluster/place"
	"github.com/millrace/millrace/infra/stack/process"
)

// Import brings those images to the test cluster that it does not have.
func Import(ctx context.Context, all ...Image) error {
	out, err := process.Run(ctx, process.Spec{Path: "ctr", Args: ctr("images", "list", "--quiet")})
	if err != nil {
		return err
	}
	there := strings.Fields(out)
	all = slices.DeleteFunc(all, func(i Image) bool { return slices.Contains(there, i.Ref.String()) })
	if len(all) == 0 {
		return nil
	}
	return Load(ctx, append([]string{"ctr"}, ctr("images", "import")...), all...)
}

func ctr(args ...string) []string {
	return append([]string{"--address", place.Containerd(), "--namespace", "k8s.io"}, args...)
}

// Load writes the images into one archive, and has a command store them that takes
// its name as the last argument, such as `kind load image-archive`.
func Load(ctx context.Context, command []string, all ...Image) (err error) {
	dir, err := os.MkdirTemp("", "millrace-images-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	archive := filepath.Join(dir, "images.tar")
	refs := map[name.Tag]v1.Image{}
	for _, image := range all {
		refs[image.Ref] = image.Image
	}
	if err := tarball.MultiWriteToFile(archive, refs); err != nil {
		return err
	}
	_, err = process.Run(ctx, process.Spec{Path: command[0], Args: append(command[1:], archive)})
	if err != nil {
		return fmt.Errorf("storing images with %s: %w", strings.Join(command, " "), err)
	}
	return nil
}

// Push brings the images to their registry, with the credentials that Docker has.
func Push(ctx context.Context, all ...Image) error {
	for _, image := range all {
		err := remote.Write(image.Ref, image.Image, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
		if err != nil {
			return fmt.Errorf("pushing %s: %w", image.Ref, err)
		}
	}
	return nil
}
