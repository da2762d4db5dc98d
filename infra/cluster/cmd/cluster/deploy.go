package main

import (
	"context"
	_ "embed" // stores.yaml
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/infra/cli/terminal"
	"github.com/millrace/millrace/infra/cluster/deploy"
	"github.com/millrace/millrace/infra/cluster/kubectl"
	"github.com/millrace/millrace/infra/cluster/node"
	"github.com/millrace/millrace/infra/cluster/place"
)

// stores lead from the overlay's names to the node.
//
//go:embed stores.yaml
var stores []byte

// target is what the flags say.
type target struct {
	overlay, registry, load string
}

func newDeploy() *cobra.Command {
	t := &target{}
	command := &cobra.Command{
		Use: "deploy", Args: cobra.NoArgs,
		Short: "Put Millrace on the test cluster, or on the one that KUBECONFIG names",
		RunE:  here(t.deploy),
	}
	flags := command.Flags()
	flags.StringVar(&t.overlay, "overlay", "infra/knative/overlays/local/batch-trigger", "folder of the kustomization to apply")
	flags.StringVar(&t.registry, "registry", "", "push the images there, such as registry.example.com/millrace")
	flags.StringVar(&t.load, "load", "", "instead, a command that brings an archive of images to the nodes, such as 'kind load image-archive'")
	return command
}

func (t *target) deploy(ctx context.Context, p place.Place, report *terminal.Reporter) error {
	began := time.Now()
	k, err := chosen(p)
	if err != nil {
		return err
	}
	o, err := t.options(p, k)
	if err != nil {
		return err
	}
	if err := deploy.Deploy(ctx, p, k, o, report); err != nil {
		return err
	}
	report.Note(fmt.Sprintf("Millrace is ready (%s).", time.Since(began).Round(time.Second)))
	return nil
}

func (t *target) options(p place.Place, k kubectl.Kubectl) (deploy.Options, error) {
	o := deploy.Options{Overlay: t.overlay, Registry: t.registry, Load: strings.Fields(t.load)}
	if !filepath.IsAbs(o.Overlay) {
		o.Overlay = filepath.Join(p.Root, o.Overlay)
	}
	if k.Config == p.Kubeconfig() {
		o.Extra = stores
		o.DatabaseURL, o.KafkaBrokers = node.DatabaseURL(), node.KafkaBrokers()
		return o, nil
	}
	o.DatabaseURL = os.Getenv("DATABASE_URL")
	if brokers := os.Getenv("KAFKA_BROKERS"); brokers != "" {
		o.KafkaBrokers = strings.Split(brokers, ",")
	}
	if o.Registry == "" && len(o.Load) == 0 {
		return o, errors.New("say how the images come to that cluster: --registry, or --load with a command")
	}
	return o, nil
}

// chosen is kubectl for the cluster that KUBECONFIG names, else for the test cluster.
func chosen(p place.Place) (kubectl.Kubectl, error) {
	config := os.Getenv("KUBECONFIG")
	if config != "" && config != p.Kubeconfig() {
		program, err := exec.LookPath("kubectl")
		return kubectl.Kubectl{Program: program, Config: config}, err
	}
	if _, err := os.Stat(p.Kubeconfig()); err != nil {
		return kubectl.Kubectl{}, errors.New("there is no test cluster: start it (cluster:up), or name another with KUBECONFIG")
	}
	return ours(p)
}
