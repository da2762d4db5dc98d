package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// tick is the unit of CPU times in /proc, in seconds: USER_HZ is 100 on every
// Linux that Go runs on.
const tick = 0.01

// stat is a line of /proc/<pid>/stat: who the parent is, and the CPU time used.
type stat struct {
	parent int
	own    float64 // seconds of its own
	reaped float64 // and of children that it has waited for
}

// readStat reads /proc/<pid>/stat. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
func readStat(pid string) (stat, error) {
	text, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return stat{}, err
	}
	return parseStat(string(text))
}

func parseStat(text string) (s stat, err error) {
	// The name, in parentheses, may hold spaces and parentheses.
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	const state = 3 // the first field after the name is the third one
	if len(fields) < 18-state {
		return s, fmt.Errorf("%q is no line of /proc/<pid>/stat", text)
	}
	number := func(field int) float64 {
		n, parseErr := strconv.ParseFloat(fields[field-state], 64)
		if parseErr != nil {
			err = parseErr
		}
		return n
	}
	s.parent = int(number(4))
	s.own = (number(14) + number(15)) * tick
	s.reaped = (number(16) + number(17)) * tick
	return s, err
}

// cpuOf is the CPU time of a process and of its children, such as PostgreSQL's
// backends.
func cpuOf(pid int) (float64, error) {
	own, err := readStat(strconv.Itoa(pid))
	if err != nil {
		return 0, err
	}
	sum := own.own + own.reaped
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, dir := range all {
		if s, err := readStat(filepath.Base(dir)); err == nil && s.parent == pid { // it may have just ended
			sum += s.own
		}
	}
	return sum, nil
}

// cpuOfSelf is that of this process without its children.
func cpuOfSelf() (float64, error) {
	s, err := readStat(strconv.Itoa(os.Getpid()))
	return s.own, err
}
