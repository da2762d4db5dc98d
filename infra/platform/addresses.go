package platform

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/millrace/millrace/infra/stack/process"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/shared/kafka"
)

// Addresses are where a running platform can be reached. They are written to
// the data folder for other commands to find.
type Addresses struct {
	// PID is the process that runs the platform.
	PID          int      `json:"pid"`
	KafkaBrokers []string `json:"kafkaBrokers"`
	// Kafka is how to reach the brokers, if the environment names them.
	Kafka       kafka.Security    `json:"-"`
	DatabaseURL string            `json:"databaseUrl"`
	RedisURL    string            `json:"redisUrl"`
	Processes   []ProcessAddress  `json:"processes"`
	Groups      map[string]string `json:"groups"` // function -> consumer group
}

// TopicGroups names the consumer group of each topic with events.
func (a Addresses) TopicGroups() map[string]string {
	groups := map[string]string{}
	for function, group := range a.Groups {
		groups[topics.Events(function)] = group
	}
	return groups
}

// ProcessAddress is one function or trigger, the relay or the gateway.
type ProcessAddress struct {
	Name string `json:"name"`
	// Kind is function, trigger, relay or gateway.
	Kind string `json:"kind"`
	// Function is what a function or trigger is for; else empty.
	Function string `json:"function,omitempty"`
	URL      string `json:"url"`
	Log      string `json:"log"`
}

const addressFile = "platform.json"

// write replaces the file in one step, so that readers never see half of it.
func (a Addresses) write(data string) error {
	text, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	file := filepath.Join(data, addressFile)
	if err := os.WriteFile(file+".new", append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the platform's addresses: %w", err)
	}
	return os.Rename(file+".new", file)
}

// forget removes the file. After a kill -9 it stays; its pid tells that nobody
// is there.
func forget(data string) error {
	err := os.Remove(filepath.Join(data, addressFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// ErrNotRunning says that no platform runs on a data folder.
var ErrNotRunning = errors.New("the platform does not run here")

// ReadAddresses returns those of the platform that runs on a data folder, or
// [ErrNotRunning]. A file that a kill -9 left behind does not count.
func ReadAddresses(data string) (Addresses, error) {
	var a Addresses
	text, err := os.ReadFile(filepath.Join(data, addressFile))
	if errors.Is(err, fs.ErrNotExist) {
		return a, ErrNotRunning
	}
	if err != nil {
		return a, fmt.Errorf("reading the platform's addresses: %w", err)
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, fmt.Errorf("reading the platform's addresses in %s: %w", data, err)
	}
	if !process.Running(a.PID) {
		return Addresses{}, ErrNotRunning
	}
	return a, nil
}

// Starting is the process of `millrace up` that works on a data folder and may
// not be up yet, or 0. It does not touch the lock, which would be in the way of
// one that starts just now.
func Starting(data string) int {
	pid := process.Holder(filepath.Join(data, lockFile))
	if pid == 0 || !process.Running(pid) || !slices.Contains(strings.Fields(process.CommandLine(pid)), "up") {
		return 0
	}
	return pid
}
