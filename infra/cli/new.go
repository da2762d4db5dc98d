package cli

import (
	"fmt"
	"path"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/infra/cli/family"
	"github.com/millrace/millrace/infra/platform"
)

func (a *app) newCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "new <name>",
		Short: "Make a new function in this checkout",
		Long: `Makes a small function that works: an event type, rules, a table, a Redis view,
a schema and tests, in functions/<name>. It enters it into the lists of
functions and topics, and into the manifests. Then change it into yours: see
docs/adding-a-function.md.

The name is that of an event family: the first word of its types.`,
		Example: `  millrace new visit`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &usageError{command: c.CommandPath(), err: fmt.Errorf("want one name, got %d", len(args))}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.makeFunction(args[0]) },
	}
}

func (a *app) makeFunction(name string) error {
	root, err := platform.FindRoot(".")
	if err != nil {
		return err
	}
	made, err := family.Make(root, name)
	if err != nil {
		return err
	}
	for _, file := range made.New {
		fmt.Fprintln(a.Out, "  new      "+file)
	}
	for _, file := range made.Changed {
		fmt.Fprintln(a.Out, "  changed  "+file)
	}
	fmt.Fprintf(a.Out, `
Function %[1]s is there, with topic %[1]s-events. Enter it into docs/asyncapi.json,
and run its tests:

  go test ./infra/layout -update
  go test ./%[2]s ./functions
  go -C infra/knative test -mod=mod .

Then make it yours: docs/adding-a-function.md
`, name, path.Join("functions", name))
	return nil
}
