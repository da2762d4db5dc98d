package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/infra/cli"
	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/infra/platform/platformtest"
	"github.com/millrace/millrace/infra/stack/process"
	"github.com/millrace/millrace/infra/stack/stacktest"
)

// TestMain lets the test binary stand in for the millrace command.
func TestMain(m *testing.M) {
	if os.Getenv("CLI_TEST_ROLE") == "millrace" {
		os.Exit(cli.Run(context.Background(), os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
	stacktest.Main(m)
}

// run runs a command within this process.
func run(t *testing.T, args ...string) (status int, out string) {
	t.Helper()
	var both bytes.Buffer
	status = cli.Run(t.Context(), args, cli.Streams{In: strings.NewReader(""), Out: &both, Err: &both})
	return status, both.String()
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Setenv("KAFKA_BROKERS", "")
	t.Setenv("DATABASE_URL", "")
	empty := t.TempDir()
	for name, test := range map[string]struct {
		args   []string
		status int
		want   string
	}{
		"no such flag":        {[]string{"up", "--prot", "1"}, 2, "(try: millrace up --help)"},
		"no number":           {[]string{"up", "--redis-port", "abc"}, 2, `--redis-port is "abc", want a whole number (try: millrace up --help)`},
		"no such command":     {[]string{"down"}, 2, `unknown command "down"`},
		"a mistyped command":  {[]string{"stauts", "--watch"}, 2, `unknown command "stauts", did you mean status? (try: millrace --help)`},
		"a mistyped flag":     {[]string{"send", "--tennant", "acme"}, 2, "unknown flag: --tennant, did you mean --tenant? (try: millrace send --help)"},
		"an argument":         {[]string{"status", "trade"}, 2, `it takes no arguments, and got "trade" (try: millrace status --help)`},
		"status, nothing up":  {[]string{"status", "--dir", empty}, 1, "no platform runs on " + empty + ", and KAFKA_BROKERS is not set: start it with `millrace up`"},
		"send, nothing up":    {[]string{"send", "--dir", empty, "--data", "{}", "--type", "trade.executed.v1", "--tenant", "t", "--subject", "s"}, 1, "KAFKA_BROKERS"},
		"send, no such file":  {[]string{"send", "--file", filepath.Join(empty, "none")}, 1, "no such file"},
		"entity, torn":        {[]string{"status", "--entity", "acme"}, 1, "tenant/function/subject"},
		"send, no tenant":     {[]string{"send", "--data", "{}", "--type", "trade.executed.v1"}, 1, "tenantid is missing"},
		"new, no name":        {[]string{"new"}, 2, "want one name, got 0 (try: millrace new --help)"},
		"new, wrong name":     {[]string{"new", "my-visit"}, 1, `"my-visit" is no name for a function: want 2 to 30 letters`},
		"new, taken name":     {[]string{"new", "trade"}, 1, `"trade" is a function of Millrace already`},
		"simulate, spike":     {[]string{"simulate", "--spike", "10x"}, 2, "10x30s/5m"},
		"simulate, share":     {[]string{"simulate", "--poison", "2"}, 2, "poison is 2, want 0 to 1"},
		"simulate, family":    {[]string{"simulate", "--only", "weather"}, 2, "agent, conversation"},
		"simulate, no rate":   {[]string{"simulate", "--rate", "0", "--duration", "1s"}, 2, "--events"},
		"bench, no runs":      {[]string{"bench", "--runs", "0"}, 2, "--runs and --events"},
		"simulate, no Kafka":  {[]string{"simulate", "--dir", empty}, 1, "KAFKA_BROKERS is not set"},
		"simulate, no number": {[]string{"simulate", "--rate", "fast"}, 2, `--rate is "fast", want a number (`},
		"version":             {[]string{"--version"}, 0, ", go1."},
		"help":                {[]string{"up", "--help"}, 0, "KAFKA_BROKERS"},
		"help without a word": {nil, 0, "millrace send"},
	} {
		t.Run(name, func(t *testing.T) {
			status, out := run(t, test.args...)
			if status != test.status || !strings.Contains(out, test.want) {
				t.Errorf("status %d, want %d; output lacks %q:\n%s", status, test.status, test.want, out)
			}
		})
	}
}

// TestAllOfAFileIsCheckedFirst: it does not even look for a Kafka.
func TestAllOfAFileIsCheckedFirst(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "events.jsonl")
	const good = `{"id":"good","type":"trade.executed.v1","tenantid":"t","subject":"s","data":{}}` + "\n"
	text := good + strings.ReplaceAll(good, `"t"`, `""`) + "\n" + strings.Replace(good, "trade", "weather", 1)
	text += strings.Repeat(strings.Replace(good, `"s"`, `""`, 1), 25) + good + `{"id":`
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	status, out := run(t, "send", "--file", file)
	for _, want := range []string{
		"millrace: " + file + ": 28 of 30 events cannot be sent, so none was:\n  line 2, event 2, id \"good\": ",
		"\n  line 4, event 3, id \"good\": type \"weather.executed.v1\" begins with no function's name",
		"\n  line 21, event 20, id \"good\": ", "\n  ... and 8 more\n",
	} {
		if status != 1 || !strings.Contains(out, want) || strings.Count(out, "\n") > 22 {
			t.Errorf("status %d, lacks %q:\n%s", status, want, out)
		}
	}
}

func TestNewNeedsTheRepository(t *testing.T) {
	t.Chdir(t.TempDir())
	if status, out := run(t, "new", "visit"); status != 1 || !strings.Contains(out, "is not within a checkout of github.com/millrace/millrace") {
		t.Errorf("status %d:\n%s", status, out)
	}
}

func TestOutsideOfACheckoutItSaysSo(t *testing.T) {
	t.Setenv("KAFKA_BROKERS", "")
	t.Chdir(t.TempDir())
	const want = "no platform is known outside of a checkout (change into it, or name its data folder with --dir), and KAFKA_BROKERS is not set"
	if status, out := run(t, "status"); status != 1 || !strings.Contains(out, want) {
		t.Errorf("status %d:\n%s", status, out)
	}
}

// upProcess is a running `millrace up`.
type upProcess struct {
	cmd *exec.Cmd
	out *bufio.Reader
}

func startUp(t *testing.T, f platform.Folders, flags ...string) *upProcess {
	t.Helper()
	cmd := exec.Command(os.Args[0], append(flags, "up", "--kafka-port=0", "--postgres-port=0", "--redis-port=0", "--functions-port=0")...)
	cmd.Env = append(os.Environ(), "CLI_TEST_ROLE=millrace", "KAFKA_BROKERS=", "DATABASE_URL=", "REDIS_URL=")
	cmd.Dir = f.Root
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &upProcess{cmd: cmd, out: bufio.NewReader(pipe)}
}

// readTo reads the output up to a line with text, and returns it.
func (u *upProcess) readTo(t *testing.T, text string) string {
	t.Helper()
	var all strings.Builder
	for {
		line, err := u.out.ReadString('\n')
		all.WriteString(line)
		if err != nil {
			t.Fatalf("the output ended (%v) before %q:\n%s", err, text, all.String())
		}
		if strings.Contains(line, text) {
			return all.String()
		}
	}
}

func TestUpSurvivesKillAndStopsOnSignal(t *testing.T) {
	t.Parallel()
	f := platformtest.Checkout(t)
	first := startUp(t, f)
	if out := first.readTo(t, "Ctrl-C drains"); !strings.Contains(out, "send --wait --type trade.executed.v1") {
		t.Errorf("it does not say how to send a first event:\n%s", out)
	}
	at, err := platform.ReadAddresses(f.Data)
	if err != nil {
		t.Fatal(err)
	}
	store(t, at.DatabaseURL)

	second := startUp(t, f)
	second.readTo(t, "the platform already runs here: process "+strconv.Itoa(first.cmd.Process.Pid))
	if err := second.cmd.Wait(); exitStatus(err) != 1 {
		t.Errorf("a second one: %v", err)
	}

	children := childrenOf(t, f)
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" {
		for name, pid := range children {
			eventually(t, name+" to end", func() bool { return !process.Running(pid) })
		}
	}

	third := startUp(t, f, "--dir", f.Data)
	if out := third.readTo(t, "Ctrl-C drains"); strings.Count(out, " --dir "+f.Data+" s") != 2 { // send and status
		t.Errorf("its hints do not lead to its folder:\n%s", out)
	}
	if at, err = platform.ReadAddresses(f.Data); err != nil {
		t.Fatal(err)
	}
	stored(t, at.DatabaseURL)
	if err := third.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	third.readTo(t, "Stopped. The data is in .millrace.")
	if err := third.cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	for name, pid := range childrenOf(t, f) {
		if process.Running(pid) {
			t.Errorf("%s still runs", name)
		}
	}
}

func TestUpStopsWhileItStarts(t *testing.T) {
	t.Parallel()
	f := platformtest.Checkout(t)
	up := startUp(t, f)
	up.readTo(t, "Kafka ")
	if status, out := run(t, "verify", "--dir", f.Data); status != 1 || !strings.Contains(out, "wait until process "+strconv.Itoa(up.cmd.Process.Pid)+" says that it is up") {
		t.Errorf("while it starts: status %d:\n%s", status, out)
	}
	if err := up.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(up.out)
	if err != nil || !strings.Contains(string(rest), "Stopped before everything was up.") {
		t.Errorf("error %v, output %s", err, rest)
	}
	if err := up.cmd.Wait(); exitStatus(err) != 1 {
		t.Errorf("%v", err)
	}
}

// childrenOf lists the processes that the platform noted down.
func childrenOf(t *testing.T, f platform.Folders) map[string]int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(f.Data, "run", "*.pid"))
	if err != nil || len(files) != 6 {
		t.Fatalf("%d pid files, error %v", len(files), err)
	}
	files = append(files, filepath.Join(f.Data, "postgres", "data", "postmaster.pid"), filepath.Join(f.Data, "redis", "redis.pid"))
	children := map[string]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue // PostgreSQL that has ended, or miniredis
		}
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		if children[filepath.Base(file)], err = strconv.Atoi(first); err != nil {
			t.Fatal(err)
		}
	}
	return children
}

func store(t *testing.T, url string) {
	t.Helper()
	database(t, url, "INSERT INTO millrace.entities (tenant_id, function, subject, version) VALUES ('t', 'f', 'kept', 1) RETURNING subject")
}

func stored(t *testing.T, url string) {
	t.Helper()
	database(t, url, "SELECT subject FROM millrace.entities WHERE tenant_id = 't'")
}

func database(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var got string
	if err := conn.QueryRow(t.Context(), sql).Scan(&got); err != nil || got != "kept" {
		t.Errorf("%q, error %v", got, err)
	}
}

func exitStatus(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return 0
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}
