package platform

import (
	"errors"
	"fmt"
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

// checkRanges says which settings name ports that there are not.
func (c Config) checkRanges() error {
	const last = 1<<16 - 1
	var errs []error
	for _, r := range []struct {
		flag               string
		port, below, above int
	}{
		{"--kafka-port", c.KafkaPort, 0, kafkaBrokers - 1},
		{"--postgres-port", c.PostgresPort, 0, 0},
		{"--redis-port", c.RedisPort, 0, 0},
		{"--functions-port", c.FunctionsPort, 1, triggersAbove + len(topics.Functions()) - 1},
	} {
		if r.port != 0 && (r.port-r.below < 1 || r.port+r.above > last) {
			errs = append(errs, fmt.Errorf("%s is %d, want %d to %d, or 0 for a free port", r.flag, r.port, 1+r.below, last-r.above))
		}
	}
	return errors.Join(errs...)
}

// checkPorts tries all ports that will be needed, and first ends what an earlier
// run left there.
func (p *Platform) checkPorts() error {
	var ports []stack.Port
	if len(p.cfg.KafkaBrokers) == 0 {
		for _, port := range p.kafkaPorts() {
			ports = append(ports, stack.KafkaPort(port))
		}
	}
	if p.cfg.DatabaseURL == "" {
		if err := stack.EndPostgres(p.cfg.Folders.part("postgres"), p.cfg.Reporter); err != nil {
			return err
		}
		ports = append(ports, stack.PostgresPort(p.cfg.PostgresPort))
	}
	if p.cfg.RedisURL == "" {
		if err := stack.EndRedis(p.cfg.Folders.part("redis"), p.cfg.RedisPort); err != nil {
			return err
		}
		ports = append(ports, stack.RedisPort(p.cfg.RedisPort))
	}
	// The addresses of the stores are not known yet; names and ports are.
	for _, s := range services(p.cfg.Folders, Addresses{}, p.cfg.Functions, p.ports) {
		ended, err := s.reclaim(p.cfg.Folders)
		if err != nil {
			return err
		}
		if ended {
			p.cfg.Reporter.Note("ended " + s.Name + ", which an earlier run left over")
		}
		ports = append(ports, s.wanted())
	}
	return stack.CheckPorts(ports...)
}

const kafkaBrokers = 3

func (p *Platform) kafkaPorts() []int {
	ports := make([]int, kafkaBrokers)
	for i := range ports {
		if p.cfg.KafkaPort != 0 {
			ports[i] = p.cfg.KafkaPort + i
		}
	}
	return ports
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
