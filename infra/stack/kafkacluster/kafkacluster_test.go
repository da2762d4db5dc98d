package kafkacluster_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/infra/stack/kafkacluster"
)

// The brokers themselves run in infra/faults/kafka, which takes minutes.

func TestFindSaysInOneLineWhatIsMissing(t *testing.T) {
	for name, test := range map[string]struct{ java, want string }{
		"no Java":        {"", "there is no java on the PATH"},
		"old Java":       {`echo 'openjdk version "11.0.2" 2019-01-15'`, "needs Java 17, and"},
		"no Java at all": {"exit 3", "exit status 3"},
		"says nothing":   {":", "does not say which Java it is"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if test.java != "" {
				if err := os.WriteFile(filepath.Join(dir, "java"), []byte("#!/bin/sh\n"+test.java+"\n"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("PATH", dir)
			_, err := kafkacluster.Find(t.Context())
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v", err)
			}
		})
	}
}
