package platform

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/stack/process"
	"github.com/millrace/millrace/infra/topics"
)

// Kinds of services.
const (
	KindFunction = "function"
	KindTrigger  = "trigger"
	KindRelay    = "relay"
	KindGateway  = "gateway"
)

// service is one process of the platform with all that it is told.
type service struct {
	ProcessAddress
	program string
	port    int
	env     map[string]string
}

// services lists the processes in the order in which they are started:
// functions, relay, triggers, gateway; each only needs those before it.
func services(f Folders, a Addresses, functions []string, ports portRange) []service {
	stores := map[string]string{
		"DATABASE_URL":  a.DatabaseURL,
		"REDIS_URL":     a.RedisURL,
		"KAFKA_BROKERS": strings.Join(a.KafkaBrokers, ","),
	}
	var all []service
	for _, name := range functions {
		all = append(all, newService(f, name, KindFunction, name, name, ports.function(name), stores, map[string]string{
			"K_SERVICE": name, "K_REVISION": name + "-00001",
		}))
	}
	all = append(all, newService(f, relayProgram, KindRelay, "", relayProgram, ports.relay(), stores, map[string]string{
		"RELAY_INTERVAL": "1s",
	}))
	var calls []string
	for _, name := range functions {
		calls = append(calls, name+"="+localURL(ports.function(name)))
		all = append(all, newService(f, name+"-trigger", KindTrigger, name, triggerProgram, ports.trigger(name), nil, map[string]string{
			"KAFKA_BROKERS":           stores["KAFKA_BROKERS"],
			"KAFKA_TOPICS":            topics.Events(name),
			"KAFKA_CONSUMER_GROUP":    ConsumerGroup(name),
			"KAFKA_DEAD_LETTER_TOPIC": topics.DeadLetters(name),
			"K_SINK":                  localURL(ports.function(name)),
			"NAME":                    name + "-trigger",
		}))
	}
	return append(all, newService(f, gatewayProgram, KindGateway, "", gatewayProgram, ports.gateway(), nil, map[string]string{
		"KAFKA_BROKERS": stores["KAFKA_BROKERS"],
		"CALL_URLS":     strings.Join(calls, ","),
	}))
}

// ConsumerGroup is the group of a function's trigger.
func ConsumerGroup(function string) string { return "millrace-" + topics.Events(function) }

func newService(f Folders, name, kind, function, program string, port int, envs ...map[string]string) service {
	s := service{
		ProcessAddress: ProcessAddress{Name: name, Kind: kind, Function: function, URL: localURL(port), Log: f.LogFile(name)},
		program:        program, port: port,
		env: map[string]string{
			"PORT":           strconv.Itoa(port),
			"LISTEN_ADDRESS": net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		},
	}
	for _, env := range envs {
		maps.Copy(s.env, env)
	}
	return s
}

func (s service) wanted() stack.Port {
	return stack.Port{Part: s.Name, Option: "--functions-port", Number: s.port}
}

func localURL(port int) string {
	return "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// stopGrace is how long a process has to drain after SIGTERM.
const stopGrace = 30 * time.Second

// started is a service's process.
type started struct{ *process.Process }

// Stop implements [Running].
func (s started) Stop() error { return s.Process.Stop(syscall.SIGTERM, stopGrace) }

// start starts the service's process; it may not be ready yet.
func (s service) start(f Folders) (Running, error) {
	if err := stack.CheckPorts(s.wanted()); err != nil {
		return nil, err
	}
	log, err := f.openLog(s.Name)
	if err != nil {
		return nil, err
	}
	// The child has its own handle; this one has done its duty.
	defer func() { _ = log.Close() }()
	p, err := process.Start(process.Spec{Path: f.bin(s.program), Env: append([]string{collectSeldom}, environment(s.env)...), Dir: f.Root, Output: log})
	if err != nil {
		return nil, err
	}
	return started{p}, process.Claim(f.run(s.Name+".pid"), p.PID())
}

// collectSeldom has Go's collector run when the heap has grown fivefold, as the
// manifests have it, unless the environment says else: these heaps are small.
const collectSeldom = "GOGC=400"

// reclaim ends the service's process of an earlier run, if there is one.
func (s service) reclaim(f Folders) (bool, error) {
	ended, err := process.Reclaim(f.run(s.Name+".pid"), f.bin(s.program))
	if err != nil {
		return ended, fmt.Errorf("%s of an earlier run: %w", s.Name, err)
	}
	return ended, nil
}

// awaitReady returns when the service says that it is ready. log is where its
// log ended before.
func (s service) awaitReady(ctx context.Context, u *Unit, log process.LogMark, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		err := Ready(ctx, s.URL)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-u.Ended():
			return fmt.Errorf("%s ended before it was ready: %s", s.Name, log.Tail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready after %s: %w; %s", s.Name, limit, err, log.Tail())
		}
	}
}

// Ready asks a process whether it is ready to work.
func Ready(ctx context.Context, url string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/health/readiness", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("it answers %s", response.Status)
	}
	return nil
}
