package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// LockedError says who holds a lock.
type LockedError struct {
	File string
	// PID is the holder's, 0 if it has not said so yet.
	PID int
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("%s is held by process %d", e.File, e.PID)
}

// TryLock takes a lock that the kernel gives back when this process ends,
// however it ends, and writes this process's pid into the file. A
// [LockedError] says who has it.
func TryLock(file string) (unlock func(), err error) {
	return lock(file, syscall.LOCK_EX|syscall.LOCK_NB)
}

// Lock is TryLock, but waits.
func Lock(file string) (unlock func(), err error) {
	return lock(file, syscall.LOCK_EX)
}

func lock(file string, how int) (func(), error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = &LockedError{File: file, PID: Holder(file)}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := sign(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// sign writes this process's pid. The file is never removed: another process
// could lock a new file of that name while one still holds the old.
func sign(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// Holder is the process that took a lock last, 0 if none did. It may have ended
// since.
func Holder(file string) int {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}
