package machine

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/infra/cluster/place"
)

// Traces are what a cluster could leave behind or take away, each with its value if
// it has one: links, mounts, control groups, packet-filter rules, kernel settings,
// folders, and processes of its own.
type Traces map[string]string

// Prefixes of the traces that Since treats apart.
const (
	settingTrace = "setting "
	processTrace = "process "
)

// Look finds the traces on this machine as it is now.
func Look(ctx context.Context, p place.Place) (Traces, error) {
	all := Traces{}
	links, err := os.ReadDir("/sys/class/net")
	if err != nil {
		return nil, err
	}
	for _, link := range links {
		all["link "+link.Name()] = ""
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(mounts)) {
		all["mount "+strings.Fields(line)[1]] = ""
	}
	for _, group := range groups() {
		others, _ := filepath.Glob(filepath.Join(filepath.Dir(group), "*", "cgroup.procs"))
		for _, file := range others {
			all["control group "+filepath.Dir(file)] = ""
		}
	}
	for _, folder := range append([]string{place.Run, p.State()}, folders...) {
		if _, err := os.Stat(folder); err == nil {
			all["folder "+folder] = ""
		}
	}
	for _, family := range []string{"iptables", "ip6tables"} {
		saved, err := exec.CommandContext(ctx, family+"-save").Output()
		if err == nil { // else there is nothing of that family
			maps.Copy(all, rules(family, string(saved)))
		}
	}
	maps.Copy(all, kernelSettings())
	maps.Copy(all, processes(p))
	return all, nil
}

// rules counts those that are alike. A chain that is built in and lets everything
// through is none: asking for its table has made it.
func rules(family, saved string) Traces {
	all, counts, table := Traces{}, map[string]int{}, ""
	for line := range strings.Lines(saved) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "*"):
			table = line[1:]
		case strings.HasPrefix(line, ":"):
			if chain, _, _ := strings.Cut(line[1:], " ["); !strings.HasSuffix(chain, " ACCEPT") {
				counts["chain "+chain+" in "+family+" "+table]++
			}
		case strings.HasPrefix(line, "-"):
			counts["rule "+line+" in "+family+" "+table]++
		}
	}
	for rule, n := range counts {
		all[rule] = strconv.Itoa(n)
	}
	return all
}

// volatile are settings that change by themselves.
var volatile = []string{
	"kernel/random", "kernel/pty/nr", "kernel/ns_last_pid", "kernel/perf_", "net/netfilter/nf_conntrack_count", "vm/stat_refresh",
}

func kernelSettings() Traces {
	const root = "/proc/sys/"
	all := Traces{}
	for _, part := range []string{"kernel", "net", "vm"} {
		_ = filepath.WalkDir(root+part, func(path string, entry fs.DirEntry, err error) error {
			name := strings.TrimPrefix(path, root)
			if err != nil || entry.IsDir() || slices.ContainsFunc(volatile, func(v string) bool { return strings.HasPrefix(name, v) }) {
				return nil //nolint:nilerr // that of a link that is gone by now
			}
			value, err := os.ReadFile(path) //nolint:gosec // the kernel's files: nobody puts a link there
			if err == nil {                 // some can only be written
				all[settingTrace+name] = strings.TrimSpace(string(value))
			}
			return nil
		})
	}
	return all
}

// processes are those of the cluster, by their command lines, but for this one.
func processes(p place.Place) Traces {
	all := Traces{}
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		line := strings.TrimSpace(strings.ReplaceAll(string(text), "\x00", " "))
		ours := slices.ContainsFunc([]string{p.Bin(), p.State(), place.Run}, func(folder string) bool { return strings.Contains(line, folder+"/") })
		if ours && filepath.Base(filepath.Dir(file)) != strconv.Itoa(os.Getpid()) {
			all[processTrace+line] = ""
		}
	}
	return all
}

// Since tells what is there that was not before, what is not any more, and what has
// another value, a line each. A setting that was not there came with a module of the
// kernel, which stays; a process that was there has ended.
func (t Traces) Since(before Traces) []string {
	var all []string
	for name, value := range t {
		was, known := before[name]
		switch {
		case !known && !strings.HasPrefix(name, settingTrace):
			all = append(all, "left: "+name)
		case known && was != value:
			all = append(all, fmt.Sprintf("changed: %s is %q, and was %q", name, value, was))
		}
	}
	for name := range before {
		if _, there := t[name]; !there && !strings.HasPrefix(name, processTrace) {
			all = append(all, "gone: "+name)
		}
	}
	slices.Sort(all)
	return all
}
