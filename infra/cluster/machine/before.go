package machine

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/millrace/millrace/infra/cluster/place"
)

// settings are those of the kernel that we, the kubelet and kube-proxy change.
var settings = []string{
	"kernel/keys/root_maxbytes",
	"kernel/keys/root_maxkeys",
	"kernel/panic",
	"kernel/panic_on_oops",
	"net/bridge/bridge-nf-call-ip6tables",
	"net/bridge/bridge-nf-call-iptables",
	"net/ipv4/conf/all/route_localnet",
	"net/ipv4/ip_forward",
	"net/ipv6/conf/all/forwarding",
	"net/netfilter/nf_conntrack_max",
	"net/netfilter/nf_conntrack_tcp_timeout_close_wait",
	"net/netfilter/nf_conntrack_tcp_timeout_established",
	"vm/overcommit_memory",
	"vm/panic_on_oom",
}

// folders have their places in the code of the container runtime and the kubelet.
var folders = []string{
	"/etc/cni", "/opt/cni", "/opt/containerd", "/run/containerd", "/run/runc", "/usr/libexec/kubernetes",
	"/var/lib/cni", "/var/lib/containerd", "/var/lib/kubelet", "/var/log/containers", "/var/log/pods",
}

// before is what is put back.
type before struct {
	// Data is the folder of the cluster that runs.
	Data     string            `json:"data"`
	Settings map[string]string `json:"settings"`
	// Absent are the folders that there were not.
	Absent []string `json:"absent"`
}

func beforeFile() string { return filepath.Join(place.Run, "before.json") }

// remember writes down how the machine is, once: after an interrupted run it is
// not how it was any more.
func remember(data string) error {
	if _, err := os.Stat(beforeFile()); err == nil {
		return nil
	}
	b := before{Data: data, Settings: map[string]string{}}
	for _, name := range settings {
		if value, err := os.ReadFile(filepath.Join("/proc/sys", name)); err == nil {
			b.Settings[name] = strings.TrimSpace(string(value))
		}
	}
	for _, folder := range folders {
		if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
			b.Absent = append(b.Absent, folder)
		}
	}
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(place.Run, 0o755); err != nil {
		return err
	}
	unfinished := beforeFile() + ".unfinished"
	if err := os.WriteFile(unfinished, text, 0o644); err != nil {
		return err
	}
	return os.Rename(unfinished, beforeFile())
}

// remembered tells how the machine was, and whether anything was changed at all.
func remembered() (b before, changed bool, err error) {
	text, err := os.ReadFile(beforeFile())
	if errors.Is(err, fs.ErrNotExist) {
		return b, false, nil
	}
	if err != nil {
		return b, false, err
	}
	return b, true, json.Unmarshal(text, &b)
}

func (b before) restore() error {
	var errs []error
	for name, value := range b.Settings {
		errs = append(errs, set(name, value))
	}
	for _, folder := range b.Absent {
		errs = append(errs, os.RemoveAll(folder))
	}
	return errors.Join(errs...)
}

// set leaves alone what has that value already, or is gone: some cannot be written
// with the value that is read.
func set(name, value string) error {
	file := filepath.Join("/proc/sys", name)
	now, err := os.ReadFile(file)
	if err != nil || strings.TrimSpace(string(now)) == value {
		return nil //nolint:nilerr // what is gone needs no value
	}
	return os.WriteFile(file, []byte(value), 0o644)
}

// Owner is the folder of the cluster that is on this machine, running or left over.
func Owner() (data string, ok bool) {
	b, changed, err := remembered()
	return b.Data, changed && err == nil
}
