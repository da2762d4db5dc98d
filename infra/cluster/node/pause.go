package node

import (
	"context"
	"path/filepath"

	"github.com/millrace/millrace/infra/cluster/images"
	"github.com/millrace/millrace/infra/cluster/place"
)

// PauseImage is the one that holds each pod's namespaces, made of a program that is
// built.
func PauseImage(p place.Place) (images.Image, error) {
	return images.New("dev.local/cluster/pause", filepath.Join(p.Bin(), "pause"), images.Quick)
}

// importPause brings it there before the first pod, once the container runtime
// listens.
func (n *node) importPause(ctx context.Context) error {
	return patiently(ctx, func(ctx context.Context) error { return images.Import(ctx, n.pause) })
}
