package e2e_test

import (
	"bufio"
	"os"
	"strings"
	"testing"
)

// alarms are what no process may ever log, whatever is sent and killed.
var alarms = []string{"WARNING: DATA RACE", "panic: ", "fatal error: ", `"msg":"a rule failed"`, `"msg":"an event cannot be stored"`}

// checkLogs looks for alarms in the logs of all processes.
func (w *world) checkLogs(t *testing.T) {
	t.Helper()
	for _, p := range w.platform.Addresses.Processes {
		checkLog(t, p.Name, p.Log)
	}
}

func checkLog(t *testing.T, process, file string) {
	t.Helper()
	log, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		for _, alarm := range alarms {
			if strings.Contains(lines.Text(), alarm) {
				t.Errorf("%s logged: %.500s", process, lines.Text())
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the log of %s: %v", process, err)
	}
}
