package views

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// clusterURL is a cluster of three masters that the tests share.
var clusterURL = sync.OnceValues(func() (string, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return "", err
	}
	tool, err := exec.LookPath("redis-cli")
	if err != nil {
		return "", err
	}
	var addresses []string
	for range 3 {
		directory, err := os.MkdirTemp("", "views-cluster")
		if err != nil {
			return "", err
		}
		node, err := startRedis(path, directory, "--cluster-enabled", "yes")
		if err != nil {
			return "", err
		}
		clusterNodes = append(clusterNodes, clusterNode{node, directory})
		addresses = append(addresses, node.address)
	}
	arguments := append([]string{"--cluster", "create"}, addresses...)
	output, err := exec.Command(tool, append(arguments, "--cluster-yes")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, output)
	}
	return "redis://" + addresses[0] + "?addr=" + strings.Join(addresses[1:], "&addr="), nil
})

type clusterNode struct {
	*redisServer
	directory string
}

var clusterNodes []clusterNode

func stopCluster() {
	for _, node := range clusterNodes {
		node.stop()
		_ = os.RemoveAll(node.directory)
	}
}

// cluster returns the URL of the shared cluster.
func cluster(t *testing.T) string {
	t.Helper()
	url, err := clusterURL()
	if err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			t.Skip("NO redis-server OR redis-cli FOUND: clusters are not tested")
		}
		t.Fatal(err)
	}
	return url
}
