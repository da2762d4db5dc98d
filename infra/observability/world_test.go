package observability

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caarlos0/env/v11"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/functions/trade"
	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/runtime"
	gateway "github.com/millrace/millrace/triggers/http"
	"github.com/millrace/millrace/triggers/kafka"
	"github.com/millrace/millrace/triggers/relay"
)

// play has this binary be the function of trades, in a process of its own.
const play = "MILLRACE_OBSERVABILITY_FUNCTION"

func TestMain(m *testing.M) {
	if os.Getenv(play) != "" {
		runtime.Main(trade.New())
		return
	}
	stacktest.Main(m)
}

// theProcesses returns what a function, its trigger and the relay tell when they
// have seen events, asked once for all tests.
func theProcesses(t *testing.T) map[string]told {
	t.Helper()
	once.Do(func() { gathered = gather(t) })
	if gathered == nil {
		t.Fatal("another test could not gather the metrics")
	}
	return gathered
}

var (
	once     sync.Once
	gathered map[string]told
)

func gather(t *testing.T) map[string]told {
	t.Helper()
	p, at := start(t)
	return map[string]told{
		"http":     p.scrape(t, at["http"], "millrace_http_events_total"),
		"function": p.scrape(t, at["function"], "millrace_relay_rows_finished_total"),
		"trigger":  p.scrape(t, at["trigger"], "millrace_trigger_records_read_total"),
		"relay":    p.scrape(t, at["relay"], "millrace_sweeps_total"),
	}
}

// start starts one process of each kind, returns their addresses, and gives them something to tell: a trade, a call that fails, a record that is no event.
func start(t *testing.T) (p *processes, addresses map[string]string) {
	t.Helper()
	p = newProcesses(t)
	function := p.function(t, trade.New())
	sweeper, _ := p.relay(t) // until the end
	addresses = map[string]string{
		"function": function, "trigger": p.trigger(t, "trade", function), "relay": sweeper, "http": p.gateway(t),
	}
	p.post(t, addresses["http"]+"/v1/events", "application/cloudevents+json", trade1, http.StatusAccepted)
	p.post(t, addresses["http"]+"/v1/calls/trade.executed.v1?tenant=acme&subject=a-1", "application/json", "{}", http.StatusServiceUnavailable)
	p.send(t, "no event")
	return p, addresses
}

// processes are those of a platform on servers of its own, in this process.
type processes struct {
	environment map[string]string
	brokers     []string
	ctx         context.Context
	running     sync.WaitGroup
	stop        func() // ends them all, and waits for it
	log         *slog.Logger
}

func newProcesses(t *testing.T) *processes {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	p := &processes{ctx: ctx, brokers: stacktest.Kafka(t), log: slog.New(slog.DiscardHandler)}
	p.environment = map[string]string{
		"DATABASE_URL": stacktest.Postgres(t), "REDIS_URL": stacktest.Redis(t),
		"KAFKA_BROKERS": strings.Join(p.brokers, ","), "DRAIN_TIMEOUT": "1s", "RELAY_INTERVAL": "100ms",
	}
	p.stop = func() { stop(); p.running.Wait() }
	t.Cleanup(p.stop)
	return p
}

// function runs a function, and returns its address.
func (p *processes) function(t *testing.T, fn function.Definition) (address string) {
	t.Helper()
	c := parse[runtime.Config](t, p)
	p.run(t, func(ctx context.Context) error { return runtime.Run(ctx, fn, c, p.log) })
	return c.ListenAddress
}

// mortal runs the function of trades in a process that reaches PostgreSQL and
// nothing else, and that can be killed. It tells of its spans at once.
func (p *processes) mortal(t *testing.T) (address string, kill func()) {
	t.Helper()
	address = parse[runtime.Config](t, p).ListenAddress
	process, said := exec.CommandContext(t.Context(), os.Args[0]), &stacktest.Log{}
	process.Stderr = said
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the function said:\n%s", said)
		}
	})
	process.Env = append(os.Environ(), play+"=1", "OTEL_BSP_SCHEDULE_DELAY=50")
	for name, value := range p.environment {
		process.Env = append(process.Env, name+"="+value)
	}
	process.Env = append(process.Env, "KAFKA_BROKERS=127.0.0.1:1", "REDIS_URL=redis://127.0.0.1:1/0")
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	return address, func() {
		if err := process.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = process.Wait() // it was killed
	}
}

// trigger runs the trigger of a function.
func (p *processes) trigger(t *testing.T, name, sink string) (address string) {
	t.Helper()
	p.environment["K_SINK"], p.environment["NAME"] = "http://"+sink, name+"-trigger"
	p.environment["KAFKA_TOPICS"], p.environment["KAFKA_CONSUMER_GROUP"] = name+"-events", "millrace-"+name+"-events"
	c := parse[kafka.Config](t, p)
	trigger, err := kafka.New(c, p.log)
	if err != nil {
		t.Fatal(err)
	}
	p.run(t, trigger.Serve)
	return c.ListenAddress
}

// gateway runs the way in by HTTP.
func (p *processes) gateway(t *testing.T) (address string) {
	t.Helper()
	p.environment["CALL_URLS"] = "trade=http://127.0.0.1:1/call" // where nobody is
	c := parse[gateway.Config](t, p)
	g, err := gateway.New(c, p.log)
	if err != nil {
		t.Fatal(err)
	}
	p.run(t, g.Run)
	p.until(t, "the way in by HTTP listens", func() bool { return ask(t, c.ListenAddress) != nil })
	return c.ListenAddress
}

// relay runs the relay, which can be stopped before the others.
func (p *processes) relay(t *testing.T) (address string, stop func()) {
	t.Helper()
	c := parse[relay.Config](t, p)
	return c.ListenAddress, p.run(t, func(ctx context.Context) error { return relay.Run(ctx, functions.All(), c, p.log) })
}

// parse reads the configuration of a process, which listens at an address of its
// own.
func parse[C any](t *testing.T, p *processes) C {
	t.Helper()
	port, err := stack.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	p.environment["LISTEN_ADDRESS"] = fmt.Sprintf("127.0.0.1:%d", port)
	c, err := env.ParseAsWithOptions[C](env.Options{Environment: p.environment})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// run runs a process. stop ends it, and waits for it.
func (p *processes) run(t *testing.T, process func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, end := context.WithCancel(p.ctx)
	ended := make(chan struct{})
	p.running.Go(func() {
		defer close(ended)
		if err := process(ctx); err != nil {
			t.Error(err)
		}
	})
	return func() { end(); <-ended }
}

// trade1 is a trade, which emits one event for its position and one for the
// ledger.
const trade1 = `{"specversion":"1.0","id":"t-1","source":"/desk","type":"trade.executed.v1","subject":"a-1","tenantid":"acme",
	"time":"2026-03-01T12:00:00Z","datacontenttype":"application/json",
	"data":{"instrument":"ACME","side":"buy","quantity":"1","price":"2","currency":"EUR"}}`

// post sends an event by HTTP.
func (p *processes) post(t *testing.T, to, media, body string, want int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+to, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", media)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if _ = response.Body.Close(); response.StatusCode != want {
		t.Fatal(response.Status)
	}
}

// send puts a record into the topic of trades.
func (p *processes) send(t *testing.T, value string, headers ...kgo.RecordHeader) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(p.brokers...), kgo.DefaultProduceTopic("trade-events"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(t.Context(), &kgo.Record{Value: []byte(value), Headers: headers}).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// scrape asks a process for its metrics until a counter has moved.
func (p *processes) scrape(t *testing.T, address, counter string) (families told) {
	t.Helper()
	p.until(t, counter+" moves", func() bool {
		families = ask(t, address)
		return families[counter] != nil && sum(families[counter]) > 0
	})
	return families
}

func (p *processes) until(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func ask(t *testing.T, address string) told {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil // it does not listen yet
	}
	defer func() { _ = response.Body.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

func sum(f *dto.MetricFamily) (total float64) {
	for _, m := range f.GetMetric() {
		total += m.GetCounter().GetValue()
	}
	return total
}
