package faults

import (
	"context"
	"fmt"
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
)

// play names the function whose process this binary is.
const play = "MILLRACE_FAULTS_FUNCTION"

func TestMain(m *testing.M) {
	if name := os.Getenv(play); name != "" {
		runtime.Main(definition(name))
		return
	}
	stacktest.Main(m)
}

func definition(name string) function.Definition {
	for _, fn := range functions.All() {
		if fn.FunctionName() == name {
			return fn
		}
	}
	panic("no function " + name)
}

// process is a function as a process of its own.
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
	p := &process{Cmd: exec.Command(program), ended: make(chan struct{})}
	p.Stderr = &p.said
	p.Env = append(os.Environ(), play+"="+name, "LISTEN_ADDRESS="+fn.address,
		"DATABASE_URL="+w.through(w.postgres), "REDIS_URL="+w.redisURL, "KAFKA_BROKERS="+w.brokers)
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
		resp, err := http.Get("http://" + fn.address + "/health/liveness")
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil
	})
	fn.process = p
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
