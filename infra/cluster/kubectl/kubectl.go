// Package kubectl runs kubectl, for the test cluster or any other.
//
// What it applies, it applies server-side: to do so again after a crash is no
// different from the first time.
package kubectl

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Kubectl is the program and the cluster that it talks to.
type Kubectl struct {
	// Program is kubectl's path.
	Program string
	// Config is the kubeconfig; empty: kubectl looks for it itself.
	Config string
}

// Run returns what it prints. The error holds what it complains of.
func (k Kubectl) Run(ctx context.Context, args ...string) (string, error) {
	out, _, err := k.run(ctx, nil, args...)
	return out, err
}

// Apply applies resources, server-side, takes over fields that others own, and
// returns what the cluster warns of. A webhook that does not answer is asked again:
// its pod may just be starting.
func (k Kubectl) Apply(ctx context.Context, resources []byte) (warnings []string, err error) {
	complaint, err := backoff.Retry(ctx, func() (string, error) {
		_, complaint, err := k.run(ctx, resources, "apply", "--server-side", "--force-conflicts", "--field-manager=millrace-cluster", "-f", "-")
		if err != nil && !strings.Contains(err.Error(), "failed calling webhook") {
			err = backoff.Permanent(err)
		}
		return complaint, err
	}, backoff.WithMaxElapsedTime(time.Minute))
	if err == nil && complaint != "" {
		warnings = strings.Split(complaint, "\n")
	}
	return warnings, err
}

func (k Kubectl) run(ctx context.Context, in []byte, args ...string) (out, complaint string, err error) {
	full := args
	if k.Config != "" {
		full = append([]string{"--kubeconfig=" + k.Config}, args...)
	}
	command := exec.CommandContext(ctx, k.Program, full...)
	var stdout, stderr bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(in), &stdout, &stderr
	err = command.Run()
	complaint = strings.TrimSpace(stderr.String())
	if err != nil {
		return "", "", fmt.Errorf("kubectl %s: %w: %s", args[0], err, complaint)
	}
	return stdout.String(), complaint, nil
}
