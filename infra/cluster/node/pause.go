package node

import (
	"context"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/infra/cluster/images"
)

// makePause makes the image that holds each pod's namespaces.
func (n *node) makePause() (err error) {
	n.pause, err = images.New("dev.local/cluster/pause", filepath.Join(n.p.Bin(), "pause"), images.Quick)
	return err
}

// importPause brings it there before the first pod.
func (n *node) importPause(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		// Until the container runtime listens.
		err := images.Import(ctx, n.pause)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(200 * time.Millisecond):
		}
	}
}
