package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/millrace/millrace/infra/cli/terminal"
	"github.com/millrace/millrace/infra/cluster/kubectl"
	"github.com/millrace/millrace/infra/cluster/place"
)

// logs prints what tells why something went wrong, for who cannot look himself.
func logs(ctx context.Context, p place.Place, _ *terminal.Reporter) error {
	if err := nodeLogs(p); err != nil {
		return err
	}
	if _, err := os.Stat(p.Kubeconfig()); err != nil {
		return nil //nolint:nilerr // the node did not come so far
	}
	k, err := ours(p)
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"get", "pods", "-A", "-o", "wide"},
		{"get", "services.serving.knative.dev,brokers,triggers,pingsources,sinkbindings", "-n", "millrace"},
		{"get", "events", "-A", "--sort-by=.lastTimestamp"},
	} {
		show(ctx, k, 60, args...)
	}
	return podLogs(ctx, k)
}

// nodeLogs prints the end of what each process of the node has logged.
func nodeLogs(p place.Place) error {
	files, err := filepath.Glob(p.Log("*"))
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		title(filepath.Base(file))
		fmt.Fprintln(os.Stdout, end(string(text), 15))
	}
	return nil
}

// podLogs describes the pods that are not well, and prints the end of what all log.
func podLogs(ctx context.Context, k kubectl.Kubectl) error {
	const columns = `{range .items[*]}{.metadata.namespace} {.metadata.name} {.status.conditions[?(@.type=="Ready")].status} {.status.phase}{"\n"}{end}`
	out, err := k.Run(ctx, "get", "pods", "-A", "-o", "jsonpath="+columns)
	if err != nil {
		return err
	}
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) < 4 {
			continue
		}
		lines := "--tail=10"
		if f[2] != "True" && f[3] != "Succeeded" {
			show(ctx, k, 60, "describe", "pod", "-n", f[0], f[1])
			show(ctx, k, 60, "logs", "-n", f[0], f[1], "--all-containers", "--prefix", "--previous", "--tail=60")
			lines = "--tail=60"
		}
		show(ctx, k, 120, "logs", "-n", f[0], f[1], "--all-containers", "--prefix", lines)
	}
	return nil
}

func show(ctx context.Context, k kubectl.Kubectl, most int, args ...string) {
	title("kubectl " + strings.Join(args, " "))
	out, err := k.Run(ctx, args...)
	if err != nil {
		out = err.Error()
	}
	fmt.Fprintln(os.Stdout, end(out, most))
}

func title(text string) { fmt.Fprintln(os.Stdout, "\n==== "+text) }

// end is the last lines of a text, none of them endless.
func end(text string, most int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	lines = lines[max(0, len(lines)-most):]
	for n, line := range lines {
		if len(line) > 500 {
			lines[n] = line[:500] + " ..."
		}
	}
	return strings.Join(lines, "\n")
}
