package node

import (
	"fmt"
	"path/filepath"

	"github.com/millrace/millrace/infra/cluster/place"
)

// issuer is who signs the tokens of service accounts; its keys are at the same place.
const issuer = "https://kubernetes.default.svc.cluster.local"

func (n *node) etcd() program {
	client := fmt.Sprintf("http://127.0.0.1:%d", place.EtcdPort)
	peer := fmt.Sprintf("http://127.0.0.1:%d", place.EtcdPeerPort)
	return program{name: "etcd", path: "etcd", args: []string{
		"--data-dir=" + n.p.State("etcd"),
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=default=" + peer,
		// The cluster is thrown away after a power cut anyway.
		"--unsafe-no-fsync",
		"--auto-compaction-retention=10m",
		"--logger=zap", "--log-level=warn",
	}}
}

func (n *node) apiServer() program {
	return n.kubernetes("kube-apiserver",
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", place.EtcdPort),
		"--advertise-address="+place.Node, "--bind-address="+place.Node, fmt.Sprintf("--secure-port=%d", place.APIPort),
		"--service-cluster-ip-range="+place.Services,
		"--authorization-mode=RBAC",
		// It asks etcd for what Debian's (3.4) cannot tell, and logs that each time.
		"--feature-gates=SizeBasedListCostEstimate=false",
		"--client-ca-file="+n.keys.authority(),
		"--tls-cert-file="+n.keys.certificate("server"), "--tls-private-key-file="+n.keys.key("server"),
		"--kubelet-client-certificate="+n.keys.certificate("admin"), "--kubelet-client-key="+n.keys.key("admin"),
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer="+issuer, "--service-account-jwks-uri="+issuer+"/openid/v1/jwks",
		"--service-account-key-file="+n.keys.certificate("accounts"), "--service-account-signing-key-file="+n.keys.key("accounts"),
	)
}

func (n *node) controllers() program {
	return n.kubernetes("kube-controller-manager",
		"--kubeconfig="+n.p.Kubeconfig(), "--bind-address=127.0.0.1", "--leader-elect=false",
		"--root-ca-file="+n.keys.authority(),
		"--service-account-private-key-file="+n.keys.key("accounts"),
		// A busy machine is no reason to give up its only node.
		"--node-monitor-grace-period=3m",
	)
}

func (n *node) scheduler() program {
	return n.kubernetes("kube-scheduler", "--kubeconfig="+n.p.Kubeconfig(), "--bind-address=127.0.0.1", "--leader-elect=false")
}

func (n *node) kubelet() program {
	return n.kubernetes("kubelet",
		"--config="+n.p.State("kubelet.yaml"), "--kubeconfig="+n.p.Kubeconfig(),
		"--root-dir="+n.p.State("kubelet"), "--cert-dir="+n.p.State("kubelet", "pki"),
		"--hostname-override=millrace", "--node-ip="+place.Node,
	)
}

func (n *node) kubeProxy() program {
	return n.kubernetes("kube-proxy", "--config="+n.p.State("kube-proxy.yaml"))
}

func (n *node) kubernetes(name string, args ...string) program {
	return program{name: name, path: filepath.Join(n.binaries.kubernetes, name), args: args}
}

func (n *node) dns() program {
	return program{name: "coredns", path: filepath.Join(n.binaries.coreDNS, "coredns"), args: []string{"-conf", n.p.State("Corefile")}}
}

func (n *node) containerd() program {
	return program{name: "containerd", path: "containerd", args: []string{"--config", n.p.State("containerd.toml"), "--log-level", "warn"}}
}
