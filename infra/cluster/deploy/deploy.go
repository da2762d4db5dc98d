package deploy

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/millrace/millrace/infra/cluster/images"
	"github.com/millrace/millrace/infra/cluster/kubectl"
	"github.com/millrace/millrace/infra/cluster/place"
	"github.com/millrace/millrace/infra/cluster/resources"
	"github.com/millrace/millrace/infra/migrations"
	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/shared/kafka"
)

// Options say where Millrace is to run.
type Options struct {
	// Overlay is the folder of the kustomization to apply.
	Overlay string
	// Registry is what comes before an image's name. Empty: nobody is to pull them.
	Registry string
	// Load is the command that brings an archive of images to the cluster's nodes,
	// for one without a registry. Its last argument is added here. Empty: it is the
	// test cluster.
	Load []string
	// DatabaseURL and KafkaBrokers are reached from here, to make tables and topics.
	// Empty: both are there already.
	DatabaseURL  string
	KafkaBrokers []string
	// Extra are resources of this cluster that come before Millrace.
	Extra []byte
}

// Deploy returns when all of Millrace is ready.
func Deploy(ctx context.Context, p place.Place, k kubectl.Kubectl, o Options, report stack.Reporter) error {
	registry, size := local, images.Quick
	if o.Registry != "" {
		size = images.Small
		registry = strings.TrimSuffix(o.Registry, "/") + "/"
	}
	made, err := makeImages(ctx, p.Root, filepath.Join(p.Bin(), "millrace"), registry, size, report)
	if err != nil {
		return err
	}
	if err := store(ctx, o, made, report); err != nil {
		return err
	}
	all, err := render(ctx, k, filepath.Join(p.Data(), "deploy"), o.Overlay, made)
	if err != nil {
		return err
	}
	if err := makeStores(ctx, o, report); err != nil {
		return err
	}
	if err := apply(ctx, k, o.Extra, all, report); err != nil {
		return err
	}
	return await(ctx, k, namespaces(all), report)
}

func store(ctx context.Context, o Options, made map[string]images.Image, report stack.Reporter) error {
	defer report.Begin("storing the images")()
	all := make([]images.Image, 0, len(made))
	for _, image := range made {
		all = append(all, image)
	}
	if o.Registry != "" {
		return images.Push(ctx, all...)
	}
	if len(o.Load) > 0 {
		return images.Load(ctx, o.Load, all...)
	}
	return images.Import(ctx, all...)
}

func makeStores(ctx context.Context, o Options, report stack.Reporter) error {
	if o.DatabaseURL != "" {
		done := report.Begin("making PostgreSQL's tables")
		err := migrations.Up(ctx, o.DatabaseURL)
		done()
		if err != nil {
			return err
		}
	}
	if len(o.KafkaBrokers) == 0 {
		return nil
	}
	defer report.Begin("making Kafka's topics")()
	_, err := topics.Ensure(ctx, o.KafkaBrokers, kafka.Security{})
	return err
}

func apply(ctx context.Context, k kubectl.Kubectl, extra []byte, all []resources.Object, report stack.Reporter) error {
	defer report.Begin("applying the manifests")()
	first, rest := resources.Split(all, func(o resources.Object) bool { return o.Kind() == "Namespace" })
	if err := removeJobs(ctx, k, rest); err != nil {
		return err
	}
	for _, part := range [][]byte{resources.Text(first...), extra, resources.Text(rest...)} {
		if len(part) == 0 {
			continue
		}
		warnings, err := k.Apply(ctx, part)
		for _, line := range warnings {
			report.Note(line)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// removeJobs makes way for new ones: a Job cannot be changed.
func removeJobs(ctx context.Context, k kubectl.Kubectl, all []resources.Object) error {
	for _, o := range all {
		if o.Kind() != "Job" {
			continue
		}
		namespace := fmt.Sprint(o.At("metadata")["namespace"])
		if _, err := k.Run(ctx, "delete", "job", o.Name(), "-n", namespace, "--ignore-not-found"); err != nil {
			return err
		}
	}
	return nil
}

func namespaces(all []resources.Object) []string {
	var names []string
	for _, o := range all {
		if name := fmt.Sprint(o.At("metadata")["namespace"]); o.At("metadata")["namespace"] != nil && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// kinds become ready, each by a condition of its own.
var kinds = []struct{ name, condition string }{
	{"jobs.batch", "Complete"},
	{"deployments.apps", "Available"},
	{"services.serving.knative.dev", "Ready"},
	{"brokers.eventing.knative.dev", "Ready"},
	{"triggers.eventing.knative.dev", "Ready"},
	{"pingsources.sources.knative.dev", "Ready"},
	{"sinkbindings.sources.knative.dev", "Ready"},
}

func await(ctx context.Context, k kubectl.Kubectl, namespaces []string, report stack.Reporter) error {
	defer report.Begin("waiting until all is ready")()
	for _, namespace := range namespaces {
		for _, kind := range kinds {
			_, err := k.Run(ctx, "wait", kind.name, "--all", "-n", namespace, "--for=condition="+kind.condition, "--timeout=5m")
			if err != nil && !strings.Contains(err.Error(), "no matching resources found") {
				return err
			}
		}
	}
	return nil
}
