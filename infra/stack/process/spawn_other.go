//go:build !linux

package process

import (
	"os/exec"
	"syscall"
)

// Only Linux can signal a child when its parent dies; elsewhere the next
// start finds what is left over, see [Claim].
func dieWith(*syscall.SysProcAttr, syscall.Signal) {}

func spawn(cmd *exec.Cmd) error { return cmd.Start() }
