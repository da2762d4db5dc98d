package node

import (
	"embed"
	"os"
	"text/template"

	"github.com/millrace/millrace/infra/cluster/machine"
	"github.com/millrace/millrace/infra/cluster/place"
)

//go:embed files
var files embed.FS

var templates = template.Must(template.ParseFS(files, "files/*"))

// writeFiles writes the configuration of each process that wants a file.
func (n *node) writeFiles() error {
	values := map[string]string{
		"Run": place.Run, "State": n.p.State(), "Containerd": place.Containerd(),
		"Bridge": place.Bridge, "Node": place.Node, "Pods": place.Pods, "Group": machine.Group,
		"Kubeconfig": n.p.Kubeconfig(), "Authority": n.keys.authority(), "Pause": n.pause.Ref.String(),
	}
	if err := os.MkdirAll(n.p.State("cni"), 0o755); err != nil {
		return err
	}
	for name, file := range map[string]string{
		"containerd.toml": n.p.State("containerd.toml"), "cni.json": n.p.State("cni", "10-millrace.conflist"),
		"kubelet.yaml": n.p.State("kubelet.yaml"), "kube-proxy.yaml": n.p.State("kube-proxy.yaml"),
		"Corefile": n.p.State("Corefile"), "pg_hba.conf": n.p.State("pg_hba.conf"),
	} {
		if err := render(name, file, values); err != nil {
			return err
		}
	}
	return nil
}

func render(name, file string, values map[string]string) error {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := templates.ExecuteTemplate(out, name, values); err != nil {
		_ = out.Close() // the first error says more
		return err
	}
	return out.Close()
}
