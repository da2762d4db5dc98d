package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/functions"
)

// checkFunction refuses the names of functions that there are not; none is fine.
func checkFunction(names ...string) error {
	var known []string
	for _, fn := range functions.All() {
		known = append(known, fn.FunctionName())
	}
	for _, name := range names {
		if name != "" && !slices.Contains(known, name) {
			return fmt.Errorf("there is no function %q; there are %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// noEntity says that there is none of the part of all that was chosen; nil if it
// was all: then there are just none yet.
func noEntity(tenant, function string, since time.Time) error {
	text := ""
	if tenant != "" {
		text += fmt.Sprintf(" of tenant %q", tenant)
	}
	if function != "" {
		text += " of function " + function
	}
	if !since.IsZero() {
		text += " that was decided about since " + moment(since) + " UTC"
	}
	if text == "" {
		return nil
	}
	return fmt.Errorf("nothing was looked at: there is no entity%s", text)
}
