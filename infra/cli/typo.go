package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// unknownCommand is an error that says what may have been meant.
func unknownCommand(c *cobra.Command, typed string) error {
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return &usageError{command: c.CommandPath(), err: fmt.Errorf("unknown command %q%s", typed, meant("", typed, names))}
}

// flagError is an error about flags that says what may have been meant.
func flagError(c *cobra.Command, err error) error {
	// Of "stauts --watch" the flag is unknown because the command is.
	if before := c.Flags().Args(); c.HasSubCommands() && len(before) > 0 {
		return unknownCommand(c, before[0])
	}
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		err = fmt.Errorf("%w%s", err, meant("--", unknown.GetSpecifiedName(), names))
	}
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok && errors.Is(err, strconv.ErrSyntax) {
		wants := map[string]string{"int": "a whole number", "uint": "a whole number from 0 on", "float64": "a number"}
		if want := wants[invalid.GetFlag().Value.Type()]; want != "" {
			err = fmt.Errorf("--%s is %q, want %s", invalid.GetFlag().Name, invalid.GetValue(), want)
		}
	}
	return &usageError{command: c.CommandPath(), err: err}
}

// meant says which of names a mistyped one may be.
func meant(prefix, typed string, names []string) string {
	// cobra knows which names of commands are alike.
	c := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, name := range names {
		c.AddCommand(&cobra.Command{Use: name, Run: func(*cobra.Command, []string) {}})
	}
	like := c.SuggestionsFor(typed)
	if len(like) == 0 {
		return ""
	}
	return ", did you mean " + prefix + strings.Join(like[:min(len(like), 3)], " or "+prefix) + "?"
}
