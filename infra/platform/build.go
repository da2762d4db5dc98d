package platform

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/stack/process"
	"github.com/millrace/millrace/infra/topics"
)

// Names of the programs that are no function.
const (
	triggerProgram = "kafka-trigger"
	relayProgram   = "relay"
	gatewayProgram = "http"
)

// program is one that the platform builds: its name and its package.
type program struct{ name, pkg string }

// FindFunctions lists the functions that a checkout has, in the order of their
// topics: those whose folder has a program.
func FindFunctions(root string) []string {
	return slices.DeleteFunc(topics.Functions(), func(name string) bool {
		_, err := os.Stat(filepath.Join(root, "functions", name, "cmd", "main.go"))
		return err != nil
	})
}

func programs(functions []string) []program {
	all := []program{{triggerProgram, "./triggers/kafka/cmd"}, {relayProgram, "./triggers/relay/cmd"}, {gatewayProgram, "./triggers/http/cmd"}}
	for _, f := range functions {
		all = append(all, program{f, "./functions/" + f + "/cmd"})
	}
	return all
}

// build builds every program into the data folder. Go builds again only what
// has changed.
func build(ctx context.Context, f Folders, functions, flags []string, report stack.Reporter) error {
	goCommand, err := exec.LookPath("go")
	if err != nil {
		return fmt.Errorf("building the functions needs Go on the PATH: %w", err)
	}
	all := programs(functions)
	for i, p := range all {
		done := report.Begin(fmt.Sprintf("building %s (program %d of %d)", p.name, i+1, len(all)))
		args := append([]string{"build", "-o", f.bin(p.name)}, flags...)
		_, err := process.Run(ctx, process.Spec{Path: goCommand, Args: append(args, p.pkg), Dir: f.Root})
		done()
		if err != nil {
			return fmt.Errorf("building %s from %s: %w", p.name, p.pkg, err)
		}
	}
	return nil
}

// environment is this process's, with some variables set.
func environment(set map[string]string) []string {
	env := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		_, replaced := set[name]
		return replaced
	})
	for name, value := range set {
		env = append(env, name+"="+value)
	}
	return env
}
