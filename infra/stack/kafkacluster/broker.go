package kafkacluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/millrace/millrace/infra/stack/process"
)

// Broker is one of the cluster's. Its methods are for one goroutine at a time.
type Broker struct {
	// ID is its node id, from 1.
	ID int32
	// Address is where clients reach it, host:port.
	Address string

	programs   Programs
	controller string // where the other controllers reach it
	door       Door   // empty if there is none
	dir        string

	mu      sync.Mutex
	process *process.Process
}

// heap is enough for the few hundred partitions of all of Millrace's topics.
const heap = "-Xmx256m"

// java returns how to run one of Kafka's main classes.
func (b *Broker) java(class string, args ...string) process.Spec {
	jvm := []string{
		heap, "-Xms64m",
		// They live for minutes, three of them on few cores: start-up is what they cost.
		"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
		"-cp", filepath.Join(b.programs.jars, "*"), class,
	}
	return process.Spec{Path: b.programs.java, Args: append(jvm, args...), Dir: b.dir}
}

// settings is its server.properties.
func (b *Broker) settings(voters string) string {
	listeners, advertised := "BROKER://"+b.Address, "BROKER://"+b.Address
	if b.door != (Door{}) {
		listeners += ",DOOR://" + b.door.Listen
		advertised += ",DOOR://" + b.door.Advertised
	}
	var out strings.Builder
	for _, line := range append([]string{
		"node.id=" + strconv.Itoa(int(b.ID)),
		"process.roles=broker,controller",
		"controller.quorum.voters=" + voters,
		"listeners=" + listeners + ",CONTROLLER://" + b.controller,
		"advertised.listeners=" + advertised,
		"log.dirs=" + filepath.Join(b.dir, "data"),
	}, shared...) {
		out.WriteString(line + "\n")
	}
	return out.String()
}

// format makes the data folder.
func (b *Broker) format(ctx context.Context, voters string) error {
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(b.properties(), []byte(b.settings(voters)), 0o644); err != nil {
		return err
	}
	_, err := process.Run(ctx, b.java("kafka.tools.StorageTool", "format", "-t", clusterID, "-c", b.properties()))
	return err
}

func (b *Broker) properties() string { return filepath.Join(b.dir, "server.properties") }

// Log is the file that it logs to, over all its starts.
func (b *Broker) Log() string { return filepath.Join(b.dir, "broker.log") }

// Start starts it and waits until it listens to clients.
func (b *Broker) Start(ctx context.Context) error {
	log, err := os.OpenFile(b.Log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the child has its own handle
	spec := b.java("kafka.Kafka", b.properties())
	spec.Output = log
	p, err := process.Start(spec)
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.process = p
	b.mu.Unlock()
	return b.await(ctx, p)
}

func (b *Broker) await(ctx context.Context, p *process.Process) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", b.Address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.Done():
			return fmt.Errorf("Kafka's broker %d ended at once (%w): see %s", b.ID, p.Err(), b.Log())
		case <-ctx.Done():
			return fmt.Errorf("Kafka's broker %d does not listen: %w", b.ID, err)
		case <-tick.C:
		}
	}
}

func (b *Broker) current() *process.Process {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.process
}

// Kill ends it with SIGKILL.
func (b *Broker) Kill() {
	if p := b.current(); p != nil {
		p.Kill()
	}
}

// stopGrace is what a broker gets to hand its partitions over.
const stopGrace = 30 * time.Second

// Stop ends it as an operator would: it hands its partitions over before.
func (b *Broker) Stop() error {
	p := b.current()
	if p == nil {
		return nil
	}
	return p.Stop(syscall.SIGTERM, stopGrace)
}

// Pause stops it with SIGSTOP: its connections stay, and nobody answers.
func (b *Broker) Pause() error { return b.current().Signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (b *Broker) Resume() error { return b.current().Signal(syscall.SIGCONT) }

// Alive tells whether it runs.
func (b *Broker) Alive() bool {
	p := b.current()
	return p != nil && p.Alive()
}
