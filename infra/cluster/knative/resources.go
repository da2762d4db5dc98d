package knative

import (
	"context"
	_ "embed" // own.yaml
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/millrace/millrace/infra/cluster/programs"
	"github.com/millrace/millrace/infra/cluster/resources"
)

// own is what we add, and what takes the place of Knative's own configuration.
//
//go:embed own.yaml
var own []byte

const (
	servingModule    = "knative.dev/serving"
	ingressNamespace = "millrace-test-ingress"
)

type object = resources.Object

// sources are the folders and files that hold Knative's resources, by module.
var sources = []struct {
	set    programs.Set
	module string
	files  []string
}{
	{programs.Serving, "knative.dev/networking", []string{"config/*.yaml"}},
	{programs.Serving, "knative.dev/caching", []string{"config/image.yaml"}},
	{programs.Serving, servingModule, []string{
		"config/core/100-*.yaml", "config/core/200-*.yaml", "config/core/200-roles/*.yaml", "config/core/300-resources/*.yaml",
		"config/core/configmaps/*.yaml", "config/core/deployments/*.yaml", "config/core/webhooks/*.yaml",
	}},
	{programs.Eventing, "knative.dev/eventing", []string{
		"config/core/100-*.yaml", "config/core/200-*.yaml", "config/core/configmaps/*.yaml", "config/core/resources/*.yaml",
		"config/core/roles/*.yaml", "config/core/deployments/*.yaml", "config/core/webhooks/*.yaml",
		"third_party/eventing-integrations-latest/*.yaml",
		"config/channels/in-memory-channel/*.yaml", "config/channels/in-memory-channel/*/*.yaml",
		"config/brokers/mt-channel-broker/*/*.yaml",
	}},
}

func load(ctx context.Context, root string) ([]object, error) {
	var all []object
	for _, source := range sources {
		dir, err := source.set.Module(ctx, root, source.module)
		if err != nil {
			return nil, err
		}
		for _, pattern := range source.files {
			files, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil {
				return nil, err
			}
			for _, file := range files {
				more, err := read(file)
				if err != nil {
					return nil, err
				}
				all = append(all, more...)
			}
		}
	}
	return adapt(all), nil
}

func read(file string) ([]object, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	all, err := resources.Parse(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return all, nil
}

// program is how Knative's YAML names an image that is to be built.
var program = regexp.MustCompile(`ko://(knative\.dev/[a-z_/-]+)`)

// references are the images of programs. Serving asks no registry about names that
// begin with dev.local.
type references map[string]string

// text names images by where they are. Those of programs that nobody uses here have
// no other name than before.
func (r references) text(all []object) []byte {
	return program.ReplaceAllFunc(resources.Text(all...), func(found []byte) []byte {
		if ref, ok := r[strings.TrimPrefix(string(found), "ko://")]; ok {
			return []byte(ref)
		}
		return found
	})
}
