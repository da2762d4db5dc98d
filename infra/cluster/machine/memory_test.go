package machine

import "testing"

func TestAvailableMemory(t *testing.T) {
	t.Parallel()
	const meminfo = "MemTotal:       24683524 kB\nMemFree:        16939728 kB\nMemAvailable:   23693076 kB\nHugePages_Total:       0\n"
	if got, known := available(meminfo); !known || got != 23693076<<10 {
		t.Errorf("%d bytes, known %v", got, known)
	}
	if got, known := available("MemTotal: 24683524 kB\n"); known {
		t.Errorf("%d bytes of a kernel that does not say", got)
	}
}
