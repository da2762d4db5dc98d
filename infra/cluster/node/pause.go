package node

import (
	"context"
	"path/filepath"

	"github.com/millrace/millrace/infra/cluster/images"
)

// makePause makes the image that holds each pod's namespaces.
func (n *node) makePause() (err error) {
	n.pause, err = images.New("dev.local/cluster/pause", filepath.Join(n.p.Bin(), "pause"), images.Quick)
	return err
}

// importPause brings it there before the first pod, once the container runtime
// listens.
func (n *node) importPause(ctx context.Context) error {
	return patiently(ctx, func(ctx context.Context) error { return images.Import(ctx, n.pause) })
}
