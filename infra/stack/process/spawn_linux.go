package process

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

func dieWith(attr *syscall.SysProcAttr, sig syscall.Signal) {
	if sig == 0 {
		sig = syscall.SIGKILL
	}
	attr.Pdeathsig = sig
}

// spawner starts all children on one operating-system thread that never ends.
// The kernel ties Pdeathsig to the thread that forked, not to the process:
// started from an ordinary goroutine a child dies as soon as the Go runtime
// retires that thread.
var spawner = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

func spawn(cmd *exec.Cmd) error {
	result := make(chan error, 1)
	spawner() <- func() { result <- cmd.Start() }
	return <-result
}
