package deploy

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

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
	objects, err := resources.Parse([]byte(out))
	if err != nil {
		return nil, err
	}
	return objects, checkImages(objects, all)
}

// checkImages holds that the programs that were made are those that will run. Where
// an overlay has given an image another name, no node would ever find it.
func checkImages(objects []resources.Object, made map[string]images.Image) error {
	used := map[string]bool{}
	for _, o := range objects {
		addImages(map[string]any(o), used)
	}
	found := false
	for ref := range used {
		name := path.Base(ref)
		name = name[:strings.IndexAny(name+":", ":@")]
		image, known := made[name]
		if !known {
			continue
		}
		if !used[image.Ref.Name()] { // else that one is somebody else's
			return fmt.Errorf("the overlay names the image %s, and %s was made: leave the names %s* as they are (docs/cluster.md)", ref, image.Ref.Name(), local)
		}
		found = true
	}
	if !found {
		return fmt.Errorf("the overlay has no image %s*: is it one of Millrace's (docs/cluster.md)?", local)
	}
	return nil
}

// addImages finds the images of containers, wherever in a resource they are.
func addImages(value any, used map[string]bool) {
	switch value := value.(type) {
	case map[string]any:
		if image, ok := value["image"].(string); ok {
			used[image] = true
		}
		for _, inner := range value {
			addImages(inner, used)
		}
	case []any:
		for _, inner := range value {
			addImages(inner, used)
		}
	}
}
