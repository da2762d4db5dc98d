package bench

import (
	"context"
	"testing"
	"time"
)

// bench reads /proc, which only Linux has.
func TestCPUOfSelf(t *testing.T) {
	t.Parallel()
	before, err := cpuOfSelf()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for now := before; now <= before; {
		if ctx.Err() != nil {
			t.Fatal("a minute of work took no time")
		}
		if now, err = cpuOfSelf(); err != nil {
			t.Fatal(err)
		}
	}
}
