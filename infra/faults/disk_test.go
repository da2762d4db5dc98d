//go:build linux

package faults

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/infra/skiptest"
	"github.com/millrace/millrace/infra/stack/stacktest"
)

// TestDiskFull fills PostgreSQL's disk under traffic: nothing is acknowledged that
// was not committed, and when there is room again all goes on.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	heavy(t)
	disk := smallDisk(t)
	server := stacktest.PostgresServerIn(t, disk, "wal_keep_size=0", "min_wal_size=32MB", "max_wal_size=32MB")
	w := newWorld(t, stores{databaseURL: server.URL}, "trade", "position", "ledger")
	w.startRelay(t)
	w.send(t, some(50, "before", executed)...)
	w.decided(t, "trade", 50)
	ballast := filepath.Join(disk, "ballast")
	fill(t, ballast)
	w.send(t, some(3000, "while", executed)...)
	stacktest.Eventually(t, time.Minute, "the disk to be full", func(context.Context) bool {
		select {
		case <-server.Done(): // it gives up where it cannot write its log
			return true
		default:
			said := w.functions["trade"].process.said.String() + w.functions["ledger"].process.said.String()
			return strings.Contains(said, "53100") || strings.Contains(said, "No space left")
		}
	})
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	select {
	case <-server.Done():
		server.Start(t) // as whoever runs it does
	default:
	}
	w.holds(t)
}

// smallDisk is a disk of its own, in memory.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "millrace-disk-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=160m,mode=0755"); err != nil {
		skiptest.Loudly(t, fmt.Sprintf("only root can mount a small disk: %v", err))
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill writes until the disk is full, but for what comes free again.
func fill(t *testing.T, file string) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for block := make([]byte, 64<<10); err == nil; {
		_, err = f.Write(block)
	}
	if !strings.Contains(err.Error(), "no space left") {
		t.Fatal(err)
	}
}
