package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/infra/platform"
)

// TestStoresAreOfOnePlatform: what a command reads in one platform's database
// it must never mend in another's.
func TestStoresAreOfOnePlatform(t *testing.T) {
	for _, name := range []string{"KAFKA_BROKERS", "DATABASE_URL", "REDIS_URL"} {
		t.Setenv(name, "")
	}
	local := platform.Addresses{PID: os.Getpid(), KafkaBrokers: []string{"here:9092"}, DatabaseURL: "postgres://here/db", RedisURL: "redis://here"}
	dir := t.TempDir()
	text, err := json.Marshal(local)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "platform.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	a := &app{data: dir}
	all := []string{"DATABASE_URL", "KAFKA_BROKERS", "REDIS_URL"}

	t.Setenv("KAFKA_BROKERS", "elsewhere:9092")
	if s, err := a.stores(all...); err != nil || s.DatabaseURL != local.DatabaseURL || s.KafkaBrokers[0] != "here:9092" {
		t.Errorf("without DATABASE_URL: %v, error %v", s, err)
	}
	t.Setenv("KAFKA_BROKERS", "")
	t.Setenv("DATABASE_URL", "postgres://elsewhere/db")
	if _, err := a.stores(all...); err == nil || !strings.Contains(err.Error(), "KAFKA_BROKERS is not set") {
		t.Errorf("without KAFKA_BROKERS: %v", err)
	}
	if s, err := a.stores("DATABASE_URL"); err != nil || s.DatabaseURL != "postgres://elsewhere/db" || s.RedisURL != "" {
		t.Errorf("with DATABASE_URL: %v, error %v", s, err)
	}
	t.Setenv("DATABASE_URL", "")
	if _, err := (&app{data: t.TempDir()}).stores(all...); err == nil || !strings.Contains(err.Error(), "set DATABASE_URL") {
		t.Errorf("without either: %v", err)
	}
}
