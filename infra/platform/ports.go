package platform

import (
	"slices"

	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/topics"
)

// DefaultFunctionsPort is the first port of the functions: agent has it, trade
// 18081, position 18082, ledger 18083.
const DefaultFunctionsPort = 18078

// triggersAbove is how far above a function's port its trigger's is. The gateway
// is below the first function and the relay below the first trigger, where no
// further function moves them.
const triggersAbove = 100

// portRange gives each process its port.
type portRange struct {
	first int
	// free are ports for processes by name when first is 0.
	free map[string]int
}

// newPortRange starts at first; 0 takes free ports.
func newPortRange(first int) (portRange, error) {
	r := portRange{first: first, free: map[string]int{}}
	if first != 0 {
		return r, nil
	}
	names := append([]string{relayProgram, gatewayProgram}, topics.Functions()...)
	for _, f := range topics.Functions() {
		names = append(names, f+"-trigger")
	}
	for _, name := range names {
		port, err := stack.FreePort()
		if err != nil {
			return r, err
		}
		r.free[name] = port
	}
	return r, nil
}

func (r portRange) function(name string) int {
	return r.port(name, slices.Index(topics.Functions(), name))
}

func (r portRange) trigger(name string) int {
	return r.port(name+"-trigger", triggersAbove+slices.Index(topics.Functions(), name))
}

func (r portRange) relay() int {
	return r.port(relayProgram, triggersAbove-1)
}

func (r portRange) gateway() int {
	return r.port(gatewayProgram, -1)
}

func (r portRange) port(name string, offset int) int {
	if r.first == 0 {
		return r.free[name]
	}
	return r.first + offset
}
