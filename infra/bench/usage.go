package bench

import (
	"github.com/millrace/millrace/infra/platform"
)

// usages tells the CPU time that every process has used so far, but for the
// gateway, which nothing here goes through.
func usages(p *platform.Platform, tell func(process string, seconds float64)) error {
	note := func(process string, pid int) error {
		seconds, err := cpuOf(pid)
		if err == nil {
			tell(process, seconds)
		}
		return err
	}
	for _, kind := range []string{platform.KindTrigger, platform.KindFunction, platform.KindRelay} {
		for _, at := range p.Addresses.Processes {
			if at.Kind != kind {
				continue
			}
			if err := note(at.Name, p.Unit(at.Name).PID()); err != nil {
				return err
			}
		}
	}
	for _, name := range []string{"PostgreSQL", "Redis"} {
		if u := p.Store(name); u != nil {
			if err := note(name, u.PID()); err != nil {
				return err
			}
		}
	}
	seconds, err := cpuOfSelf()
	if err == nil {
		tell("Kafka (kfake) and measuring", seconds)
	}
	return err
}
