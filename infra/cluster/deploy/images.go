package deploy

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/millrace/millrace/infra/cluster/images"
	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/stack/process"
	"github.com/millrace/millrace/infra/topics"
)

// local is where the manifests say that images are.
const local = "dev.local/millrace/"

// programs are what images are made of, by the name that the manifests give them.
func programs() map[string]string {
	all := map[string]string{
		"http": "./triggers/http/cmd", "kafka-trigger": "./triggers/kafka/cmd", "relay": "./triggers/relay/cmd",
		"maintain": "./infra/maintenance/cmd",
	}
	for _, name := range topics.Functions() {
		all[name] = "./functions/" + name + "/cmd"
	}
	return all
}

// makeImages builds the programs, and an image of each in a registry.
func makeImages(ctx context.Context, root, bin, registry string, size images.Compression, report stack.Reporter) (map[string]images.Image, error) {
	defer report.Begin("building Millrace's images")()
	all := map[string]images.Image{}
	for name, pkg := range programs() {
		file := filepath.Join(bin, name)
		_, err := process.Run(ctx, process.Spec{
			Path: "go", Args: []string{"build", "-ldflags", "-s -w", "-o", file, pkg},
			Env: append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64"), Dir: root,
		})
		if err != nil {
			return nil, fmt.Errorf("building %s: %w", name, err)
		}
		if all[name], err = images.New(registry+name, file, size); err != nil {
			return nil, fmt.Errorf("making the image of %s: %w", name, err)
		}
	}
	return all, nil
}
