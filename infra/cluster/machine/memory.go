package machine

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// leastMemory is what all of the cluster takes while its tests run, in bytes
// (docs/cluster.md). With less the kernel would kill one of its processes, long
// after everything was built.
const leastMemory = 3_000_000_000

// enoughMemory looks at what nobody uses, unless a cluster is here that has its
// part already. Who cannot ask the kernel tries.
func enoughMemory() error {
	if _, ok := Owner(); ok {
		return nil
	}
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return nil //nolint:nilerr // nothing speaks against it
	}
	free, known := available(string(text))
	if !known || free >= leastMemory {
		return nil
	}
	return &UnableError{fmt.Sprintf("the test cluster needs %.1f GB of memory that nobody else uses, and %.1f are free",
		float64(leastMemory)/1e9, float64(free)/1e9)}
}

// available is what new processes can have without swapping, in bytes.
func available(meminfo string) (bytes int64, known bool) {
	for line := range strings.Lines(meminfo) {
		f := strings.Fields(line)
		if len(f) == 3 && f[0] == "MemAvailable:" {
			kilobytes, err := strconv.ParseInt(f[1], 10, 64)
			return kilobytes << 10, err == nil
		}
	}
	return 0, false
}
