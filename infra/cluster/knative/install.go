package knative

import (
	"bytes"
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"

	"github.com/millrace/millrace/infra/cluster/images"
	"github.com/millrace/millrace/infra/cluster/kubectl"
	"github.com/millrace/millrace/infra/cluster/place"
	"github.com/millrace/millrace/infra/cluster/programs"
	"github.com/millrace/millrace/infra/cluster/resources"
	"github.com/millrace/millrace/infra/stack"
)

// Install returns when all of Knative is ready.
func Install(ctx context.Context, p place.Place, k kubectl.Kubectl, report stack.Reporter) error {
	all, err := load(ctx, p.Root)
	if err != nil {
		return err
	}
	done := report.Begin("making images of Knative")
	refs, err := importImages(ctx, p, all)
	done()
	if err != nil {
		return err
	}
	if err := refs.applyOnce(ctx, p, k, all, report); err != nil {
		return err
	}
	defer report.Begin("waiting until Knative is ready")()
	for _, namespace := range []string{"knative-serving", "knative-eventing", ingressNamespace} {
		if _, err := k.Run(ctx, "wait", "deployment", "--all", "-n", namespace, "--for=condition=Available", "--timeout=5m"); err != nil {
			return err
		}
	}
	return nil
}

// applyOnce leaves alone what was applied to this cluster and is the same: Knative
// has changed some of it since, such as how many adapters a PingSource has.
func (r references) applyOnce(ctx context.Context, p place.Place, k kubectl.Kubectl, all []object, report stack.Reporter) error {
	sum := sha256.Sum256(append(r.text(all), own...))
	note := p.State("knative-applied")
	if was, err := os.ReadFile(note); err == nil && bytes.Equal(was, sum[:]) {
		return nil
	}
	defer report.Begin("applying Knative's resources")()
	if err := r.apply(ctx, k, all); err != nil {
		return err
	}
	return os.WriteFile(note, sum[:], 0o644)
}

// apply brings what others are made of first, and what refuses others last.
func (r references) apply(ctx context.Context, k kubectl.Kubectl, all []object) error {
	definitions, rest := resources.Split(all, func(o object) bool { return o.Kind() == "CustomResourceDefinition" })
	if _, err := k.Apply(ctx, r.text(definitions)); err != nil {
		return err
	}
	if _, err := k.Run(ctx, "wait", "crd", "--all", "--for=condition=Established", "--timeout=1m"); err != nil {
		return err
	}
	namespaces, rest := resources.Split(rest, func(o object) bool { return o.Kind() == "Namespace" })
	if _, err := k.Apply(ctx, r.text(namespaces)); err != nil {
		return err
	}
	hooks, rest := resources.Split(rest, func(o object) bool { return strings.HasSuffix(o.Kind(), "WebhookConfiguration") })
	// Ours take the place of what Knative ships.
	own, err := resources.Parse(own)
	if err != nil {
		return err
	}
	if _, err := k.Apply(ctx, r.text(append(rest, own...))); err != nil {
		return err
	}
	_, err = k.Apply(ctx, r.text(hooks))
	return err
}

// importImages makes an image of each program that is asked for.
func importImages(ctx context.Context, p place.Place, all []object) (references, error) {
	refs := references{}
	var made []images.Image
	for _, path := range wanted(all) {
		set := programs.Eventing
		if strings.HasPrefix(path, servingModule) {
			set = programs.Serving
		}
		dir, err := set.Dir(p.Root, p.Bin())
		if err != nil {
			return nil, err
		}
		image, err := images.New("dev.local/"+path, filepath.Join(dir, filepath.Base(path)), images.Quick)
		if err != nil {
			return nil, err
		}
		refs[path] = image.Ref.String()
		made = append(made, image)
	}
	return refs, images.Import(ctx, made...)
}
