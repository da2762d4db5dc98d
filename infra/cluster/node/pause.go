package node

import (
	"context"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/infra/cluster/images"
)

// Pause is the image that holds each pod's namespaces.
const Pause = "dev.local/cluster/pause:1"

// importPause brings the one image that every pod needs, before the first pod.
func (n *node) importPause(ctx context.Context) error {
	image, err := images.New("dev.local/cluster/pause", "1", filepath.Join(n.p.Bin(), "pause"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		// Until the container runtime listens.
		if err = images.Load(ctx, images.Containerd(), image); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(200 * time.Millisecond):
		}
	}
}
