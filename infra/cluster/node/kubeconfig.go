package node

import (
	"encoding/base64"
	"fmt"
	"os"
	"strconv"

	"github.com/millrace/millrace/infra/cluster/place"
)

const kubeconfig = `apiVersion: v1
kind: Config
current-context: millrace
contexts:
  - name: millrace
    context: { cluster: millrace, user: admin }
clusters:
  - name: millrace
    cluster:
      server: %s
      certificate-authority-data: %s
users:
  - name: admin
    user:
      client-certificate-data: %s
      client-key-data: %s
`

// writeKubeconfig holds all that is needed, so that it can be copied.
func (k keys) writeKubeconfig() error {
	encoded := make([]any, 0, 4)
	encoded = append(encoded, "https://"+place.Node+":"+strconv.Itoa(place.APIPort))
	for _, file := range []string{k.authority(), k.certificate("admin"), k.key("admin")} {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		encoded = append(encoded, base64.StdEncoding.EncodeToString(text))
	}
	return os.WriteFile(k.p.Kubeconfig(), fmt.Appendf(nil, kubeconfig, encoded...), 0o600) //nolint:gosec // its path is the checkout's
}
