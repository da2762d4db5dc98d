package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/infra/stack"
)

// elsewhere adds to an error about ports the command that takes free ones.
func (a *app) elsewhere(err error, o upOptions) error {
	var taken []*stack.PortInUseError
	if several, ok := errors.AsType[stack.PortsInUseError](err); ok {
		taken = several
	} else if one, ok := errors.AsType[*stack.PortInUseError](err); ok {
		taken = append(taken, one)
	}
	var flags []string
	for _, port := range taken {
		flag, _, _ := strings.Cut(port.Option, ",")
		if flag += " 0"; !slices.Contains(flags, flag) {
			flags = append(flags, flag)
		}
	}
	if len(flags) == 0 {
		return err
	}
	command := a.command() + " up"
	if o.FollowParent { // the task up sets it
		command = "go tool task up --"
	}
	return fmt.Errorf("%w\nwith free ports: %s %s", err, command, strings.Join(flags, " "))
}
