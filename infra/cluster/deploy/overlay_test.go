package deploy

import (
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/millrace/millrace/infra/cluster/images"
	"github.com/millrace/millrace/infra/cluster/resources"
)

func TestMadeImagesAreThoseThatRun(t *testing.T) {
	t.Parallel()
	made := map[string]images.Image{}
	for program, text := range map[string]string{
		"http": "dev.local/millrace/http:0123", "kafka-trigger": "dev.local/millrace/kafka-trigger:0123", "relay": "docker.io/someone/relay:0123",
	} {
		ref, err := name.NewTag(text)
		if err != nil {
			t.Fatal(err)
		}
		made[program] = images.Image{Ref: ref}
	}
	for _, c := range []struct {
		name   string
		images []string
		want   string // part of the error; none: it is right
	}{
		{"as it should be", []string{"dev.local/millrace/http:0123", "dev.local/millrace/kafka-trigger:0123"}, ""},
		{"without the trigger, with somebody else's", []string{"dev.local/millrace/http:0123", "redis:8"}, ""},
		{"in a registry with two names", []string{"index.docker.io/someone/relay:0123"}, ""},
		{"renamed", []string{"dev.local/millrace/http:0123", "registry.example.com/millrace/kafka-trigger:v0.1.0"}, "registry.example.com/millrace/kafka-trigger:v0.1.0"},
		{"renamed, by digest", []string{"registry.example.com:5000/http@sha256:45"}, "registry.example.com:5000/http@sha256:45"},
		{"nothing of ours", []string{"redis:8"}, "no image dev.local/millrace/*"},
	} {
		var containers []any
		for _, image := range c.images {
			containers = append(containers, map[string]any{"image": image})
		}
		o := resources.Object{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": containers}}}}
		err := checkImages([]resources.Object{o}, made)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
