package faults

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/runtime"
	"github.com/millrace/millrace/triggers/relay"
)

// play names the function whose process this binary is, or says that it is the
// relay's.
const (
	play      = "MILLRACE_FAULTS_PROCESS"
	relayName = "relay"
)

func TestMain(m *testing.M) {
	switch name := os.Getenv(play); name {
	case "":
		stacktest.Main(m)
	case relayName:
		if err := playRelay(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		runtime.Main(definition(name))
	}
}

func playRelay() error {
	config, err := relay.FromEnvironment()
	if err != nil {
		return err
	}
	return relay.Run(context.Background(), functions.All(), config, slog.New(slog.NewTextHandler(os.Stderr, nil)))
}

func definition(name string) function.Definition {
	for _, fn := range functions.All() {
		if fn.FunctionName() == name {
			return fn
		}
	}
	panic("no function " + name)
}

// process is a function or the relay as a process of its own.
type process struct {
	*exec.Cmd
	said  stacktest.Log
	ended chan struct{}
}

// start starts a process of a function, with more settings than the world's.
func (w *world) start(t *testing.T, name string, settings ...string) {
	t.Helper()
	w.startProgram(t, os.Args[0], name, settings...)
}

// startProgram starts a function whose program is another one.
func (w *world) startProgram(t *testing.T, program, name string, settings ...string) {
	t.Helper()
	fn := w.functions[name]
	own := []string{play + "=" + name, "DATABASE_URL=" + w.through(w.postgres), "REDIS_URL=" + w.redisURL, "KAFKA_BROKERS=" + w.brokers}
	fn.process = launch(t, program, name, fn.address, append(own, settings...)...)
}

// launch starts a process and waits until it listens.
func launch(t *testing.T, program, name, address string, settings ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(program), ended: make(chan struct{})}
	p.Stderr = &p.said
	p.Env = append(os.Environ(), "LISTEN_ADDRESS="+address)
	p.Env = append(p.Env, settings...)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.Wait() // however it ended
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill() // if it has not ended
		<-p.ended
		if t.Failed() {
			t.Logf("%s said:\n%s", name, p.said.String())
		}
	})
	stacktest.Eventually(t, time.Minute, name+" to listen", func(context.Context) bool {
		resp, err := http.Get("http://" + address + "/health/liveness")
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil
	})
	return p
}

// kill ends a process with SIGKILL.
func (p *process) kill(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGKILL)
	<-p.ended
	if state := fmt.Sprint(p.ProcessState); state != "signal: killed" {
		t.Fatalf("it was not killed: %s", state)
	}
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}
