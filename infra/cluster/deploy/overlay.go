package deploy

import (
	"context"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"

	"github.com/millrace/millrace/infra/cluster/images"
	"github.com/millrace/millrace/infra/cluster/kubectl"
	"github.com/millrace/millrace/infra/cluster/resources"
)

// render builds an overlay with the images that were made, from a kustomization in
// dir. Kustomize wants a path that is relative.
func render(ctx context.Context, k kubectl.Kubectl, dir, overlay string, all map[string]images.Image) ([]resources.Object, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	relative, err := filepath.Rel(dir, overlay)
	if err != nil {
		return nil, err
	}
	var changes []map[string]string
	for name, image := range all {
		changes = append(changes, map[string]string{
			"name": local + name, "newName": image.Ref.Repository.Name(), "newTag": image.Ref.TagStr(),
		})
	}
	text, err := yaml.Marshal(map[string]any{
		"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
		"resources": []string{relative}, "images": changes,
	})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), text, 0o644); err != nil {
		return nil, err
	}
	out, err := k.Run(ctx, "kustomize", dir)
	if err != nil {
		return nil, err
	}
	return resources.Parse([]byte(out))
}
