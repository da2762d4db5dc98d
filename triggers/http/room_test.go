package gateway

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/binding"
)

// Who announces a large body and sends nothing takes nothing from others,
// neither of the room for bodies nor of the requests in flight.
func TestSilentSenders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	most := w.config.Requests.BodyBytes / w.config.Requests.MaxBodyBytes
	for range 3 * max(int(most), w.config.InFlight) {
		r := dial(t, w.url)
		r.say(head(w.url, "Expect: 100-continue", "Content-Length: 4194304", "", "")...)
		r.wants("it is being read", http.StatusContinue, "")
	}
	for _, large := range []int{0, 1 << 19} {
		event := structured("e", map[string]any{"data": strings.Repeat("x", large)})
		w.send(t, request{"/v1/events", binding.StructuredMedia, event, nil}).wants(t, "another", http.StatusAccepted, "offset")
	}
}

// Who sends the half of a large body and stops holds room for as long as a request
// may take; small events need none and are taken meanwhile.
func TestHalfBodiesKeepNoSmallEventsOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) {
		c.Requests = binding.Limits{BodyBytes: 1 << 16, MaxBodyBytes: 1 << 16, MaxEventBytes: 1 << 16}
		c.RequestTimeout = 100 * time.Millisecond
	})
	half := dial(t, w.url)
	half.say(head(w.url, "Content-Length: 60000", "", strings.Repeat("x", 40_000))...)
	large := request{"/", binding.StructuredMedia, structured("e", map[string]any{"data": strings.Repeat("x", 20_000)}), nil}
	stacktest.Eventually(t, time.Minute, "it to be half read", func(context.Context) bool {
		return w.send(t, large).status == http.StatusTooManyRequests
	})
	small := request{"/", binding.StructuredMedia, structured("s", nil), nil}
	stacktest.Eventually(t, time.Minute, "a small event to be taken", func(context.Context) bool {
		answer := w.send(t, small)
		switch answer.status {
		case http.StatusServiceUnavailable, http.StatusGatewayTimeout: // connecting to Kafka
		case http.StatusAccepted:
			return true
		default:
			t.Fatalf("%+v", answer)
		}
		return false
	})
}

// A request whose sender has left keeps its room while Kafka is still at it, and
// no longer.
func TestRoomAfterTheSenderLeft(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*Config)
		told   string
	}{
		"bodies": {func(c *Config) {
			c.Requests = binding.Limits{BodyBytes: 1 << 16, MaxBodyBytes: 1 << 16, MaxEventBytes: 1 << 16}
		}, "no room for a request of"},
		"in flight": {func(c *Config) { c.InFlight = 1 }, "1 requests are in flight already"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(c *Config) { c.RequestTimeout = 2 * time.Second; test.change(c) })
			large := request{"/", binding.StructuredMedia, structured("e", map[string]any{"data": strings.Repeat("x", 20_000)}), nil}
			w.send(t, large).wants(t, "connecting", http.StatusAccepted, "")
			arrived, release := make(chan struct{}), make(chan struct{})
			arrive := sync.OnceFunc(func() { close(arrived) })
			w.kafka.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
				arrive()
				w.kafka.SleepControl(func() { <-release })
				return nil, nil, false //nolint:nilnil // as kfake has it for a request that goes on
			})
			ctx, leave := context.WithCancel(t.Context())
			left := make(chan error)
			go func() {
				_, err := http.DefaultClient.Do(large.build(t, w.url).WithContext(ctx)) //nolint:bodyclose // there is none
				left <- err
			}()
			<-arrived
			leave()
			if err := <-left; err == nil {
				t.Error("it was answered")
			}
			w.send(t, large).wants(t, "while Kafka is at it", http.StatusTooManyRequests, test.told)
			close(release)
			w.send(t, large).wants(t, "afterwards", http.StatusAccepted, "")
		})
	}
}
