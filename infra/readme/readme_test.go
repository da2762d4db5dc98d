package readme

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/infra/skiptest"
)

// step is a command of the README and the output that it shows.
type step struct{ command, output string }

// tour reads the steps of the README: in indented blocks, lines that begin with
// a dollar sign, go on after a backslash or a pipe, and are followed by output.
func tour(t *testing.T) []step {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var steps []step
	more := false
	for line := range strings.Lines(string(text)) {
		line, indented := strings.CutPrefix(strings.TrimRight(line, " \n"), "    ")
		command, begins := strings.CutPrefix(line, "$ ")
		switch {
		case !indented:
			more = false
			if line != "" && len(steps) > 0 {
				steps[len(steps)-1].output += "\x00" // ends the block
			}
		case begins:
			steps = append(steps, step{command: command})
			more = strings.HasSuffix(command, `\`) || strings.HasSuffix(command, "|")
		case more:
			last := &steps[len(steps)-1]
			last.command += "\n" + line
			more = strings.HasSuffix(line, `\`) || strings.HasSuffix(line, "|")
		case len(steps) > 0 && !strings.Contains(steps[len(steps)-1].output, "\x00"):
			steps[len(steps)-1].output += line + "\n"
		}
	}
	return steps
}

// variable is what differs between two runs: the time, where a record went, how
// fast it was, and how wide that makes a column.
var variable = []struct{ pattern, with string }{
	{`(?m)^ *\.\.\. .*\n`, ""}, // progress, on a slow machine
	{`\d{4}-\d\d-\d\dT[\d:.]+Z`, "TIME"},
	{`partition \d+, offset \d+`, "partition N, offset N"},
	{`(?m)^([a-z-]+)( +up +up) +\S+`, "$1$2 N"},
	{` +`, " "},
	{`(?m) +$`, ""},
	{`\x00`, ""},
	{`\n\n+`, "\n"},
}

func constant(text string) string {
	for _, v := range variable {
		text = regexp.MustCompile(v.pattern).ReplaceAllString(text, v.with)
	}
	return strings.TrimSpace(text)
}

func TestTour(t *testing.T) {
	steps := tour(t)
	if len(steps) < 5 || steps[0].command != "go tool task up" {
		t.Fatalf("the README has %d commands, and does not begin with go tool task up", len(steps))
	}
	p := start(t)
	for _, s := range steps[1:] {
		if tool := missing(s.command); tool != "" {
			skiptest.Without(t, fmt.Sprintf("%s is not installed: the README's command is not tried: %s", tool, s.command))
			continue
		}
		p.check(t, s)
	}
	p.stop(t)
}

// missing returns the program that a command uses and this machine lacks.
func missing(command string) string {
	for _, tool := range []string{"kcat", "psql", "curl"} {
		if _, err := exec.LookPath(tool); err != nil && strings.Contains(command, tool+" ") {
			return tool
		}
	}
	return ""
}

// platform is what go tool task up runs, on ports of its own.
type platform struct {
	up       *exec.Cmd
	rest     chan string // what it said after it was up
	replaced *strings.Replacer
}

func start(t *testing.T) *platform {
	t.Helper()
	dir, err := os.MkdirTemp("", "millrace-readme-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	millrace := filepath.Join(dir, "millrace")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", millrace, "./infra/cmd/millrace")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building millrace: %v\n%s", err, out)
	}
	data := filepath.Join(dir, "data")
	p := &platform{rest: make(chan string, 1)}
	p.up = exec.CommandContext(t.Context(), millrace, "up", "--dir", data,
		"--functions-port", "0", "--kafka-port", "0", "--postgres-port", "0", "--redis-port", "0")
	p.up.Dir, p.up.Stderr = "../..", os.Stderr
	p.up.Cancel = func() error { return p.up.Process.Signal(syscall.SIGINT) }
	p.up.WaitDelay = time.Minute
	out, err := p.up.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.up.Start(); err != nil {
		t.Fatal(err)
	}
	p.waitUntilUp(t, out)
	p.replaced = strings.NewReplacer(p.addresses(t, data, millrace)...)
	return p
}

func (p *platform) waitUntilUp(t *testing.T, out io.Reader) {
	t.Helper()
	lines := bufio.NewReader(out)
	var said strings.Builder
	for !strings.Contains(said.String(), "Ctrl-C drains") {
		line, err := lines.ReadString('\n')
		said.WriteString(line)
		if err != nil {
			t.Fatalf("the platform is not up: %v\n%s", err, said.String())
		}
	}
	go func() {
		rest, _ := io.ReadAll(lines) // until it ends
		p.rest <- string(rest)
	}()
}

// addresses returns what the README says and what it is here, in turn.
func (p *platform) addresses(t *testing.T, data, millrace string) []string {
	t.Helper()
	var at struct {
		KafkaBrokers []string `json:"kafkaBrokers"`
		DatabaseURL  string   `json:"databaseUrl"`
		Processes    []struct {
			Name string `json:"name"`
			URL  string `json:"url"`
		} `json:"processes"`
	}
	text, err := os.ReadFile(filepath.Join(data, "platform.json"))
	if err == nil {
		err = json.Unmarshal(text, &at)
	}
	if err != nil || len(at.KafkaBrokers) == 0 {
		t.Fatalf("the addresses of the platform: %v in %s", err, text)
	}
	gateway := ""
	for _, process := range at.Processes {
		if process.Name == "http" {
			gateway = process.URL
		}
	}
	return []string{
		"http://127.0.0.1:18077", gateway,
		".millrace/bin/millrace", millrace + " --dir " + data,
		"127.0.0.1:19092", at.KafkaBrokers[0],
		"postgres://millrace:millrace@127.0.0.1:15432/millrace?sslmode=disable", at.DatabaseURL,
	}
}

// row is a function's in what status shows.
var row = regexp.MustCompile(`(?m)^(\w+) up up .*\n`)

// withoutOthers leaves out the functions that the README does not show: those
// that were made since.
func withoutOthers(got, want string) string {
	return row.ReplaceAllStringFunc(got, func(line string) string {
		if name, _, _ := strings.Cut(line, " "); !strings.Contains(want, "\n"+name+" ") {
			return ""
		}
		return line
	})
}

// check runs a step. What only looks is run until it shows what the README
// shows, since effects arrive a little after they are decided. Where the README
// shows nothing, the command has to succeed.
func (p *platform) check(t *testing.T, s step) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	looks := strings.Contains(s.command, "status") || strings.Contains(s.command, "SELECT")
	want := constant(s.output)
	for {
		cmd := exec.CommandContext(ctx, "bash", "-c", p.replaced.Replace(s.command))
		cmd.Dir = "../.."
		out, err := cmd.CombinedOutput()
		got := withoutOthers(constant(string(out)), want)
		if ctx.Err() == nil && (got == want || want == "" && err == nil) {
			return
		}
		if !looks || ctx.Err() != nil {
			t.Fatalf("$ %s\n%v, and other output than in the README (- README, + here):\n%s", s.command, err, cmp.Diff(want, got))
		}
	}
}

func (p *platform) stop(t *testing.T) {
	t.Helper()
	if err := p.up.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	rest := <-p.rest
	if err := p.up.Wait(); err != nil || !strings.Contains(rest, "Stopped.") {
		t.Errorf("Ctrl-C: %v\n%s", err, rest)
	}
}
