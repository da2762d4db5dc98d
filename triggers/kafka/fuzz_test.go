package kafka

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	binding "github.com/cloudevents/sdk-go/protocol/kafka_sarama/v2"
	sdk "github.com/cloudevents/sdk-go/v2/binding"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/millrace/millrace/shared/event"
)

// A record that both the SDK's Kafka binding and the trigger take is one event.
// The trigger takes more, which the function judges, and refuses some that no
// batch can hold.
func FuzzConvertAsTheSDK(f *testing.F) {
	f.Add([]byte(`{"a":1}`), "1", "/s", "t", "subject", "tenantid", "acme", "application/json", false)
	f.Add([]byte(`no JSON`), "é", "urn:x", "t", "", "x1", "€", "text/plain", false)
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","n":null,"data":{}}`), "", "", "", "", "", "", "", true)
	f.Fuzz(func(t *testing.T, value []byte, id, source, kind, subject, name, extension, contentType string, structured bool) {
		m := message(value, "ce_specversion", "1.0", "ce_id", id, "ce_source", source, "ce_type", kind, "ce_"+name, extension)
		if contentType != "" {
			m.Headers = append(m.Headers, &sarama.RecordHeader{Key: []byte("content-type"), Value: []byte(contentType)})
		}
		if subject != "" {
			m.Headers = append(m.Headers, &sarama.RecordHeader{Key: []byte("ce_subject"), Value: []byte(subject)})
		}
		if structured {
			m = message(value, "content-type", "application/cloudevents+json")
		}
		got, e, err := newConverter(nil).convert(nil, m)
		if err != nil {
			return
		}
		want, err := sdk.ToEvent(context.Background(), binding.NewMessageFromConsumerMessage(m))
		if err != nil || want.Validate() != nil {
			return
		}
		// Not by the SDK, which takes data of type a/b+json for no JSON.
		r := event.ParseStructured(got)
		if r.Err != nil {
			if !jsontext.Value(got).IsValid() {
				t.Fatalf("%s: %v", got, r.Err)
			}
			return // the function makes it a dead letter
		}
		read := r.Event
		uri, err := url.Parse(read.Source) // the SDK writes it anew: " " as "%20"
		if err != nil {
			t.Fatal(err)
		}
		trimmed := strings.TrimSpace // as the SDK does
		if trimmed(read.ID) != want.ID() || uri.String() != want.Source() || trimmed(read.Type) != want.Type() || trimmed(read.Subject) != want.Subject() ||
			!read.Time.Equal(want.Time().Truncate(time.Microsecond)) || canonical(read.Data) != canonical(want.Data()) {
			t.Errorf("%s\nby the SDK %s", got, want)
		}
		if tenant, ok := want.Extensions()["tenantid"].(string); ok && tenant != string(e.tenant) {
			t.Errorf("tenant %q, by the SDK %q", e.tenant, tenant)
		}
		if trimmed(string(e.subject)) != want.Subject() {
			t.Errorf("subject %q, by the SDK %q", e.subject, want.Subject())
		}
	})
}

// K_CE_OVERRIDES is refused, or each of its extensions is on each event, once.
func FuzzOverrides(f *testing.F) {
	f.Add(`{"extensions":{"tier":"gold"}}`)
	f.Add(`{"extensions":{"knativekafkaoffset":"\ud800","sequence":"\u0000"},"x":1}`)
	f.Add(`{"extensions":{"type":"x"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		set, err := Config{Overrides: text}.overrides()
		if err != nil {
			return
		}
		for _, m := range []*sarama.ConsumerMessage{
			message([]byte(`{}`), append(minimal[:8:8], "ce_tier", "tin", "ce_knativekafkaoffset", "1")...),
			message([]byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","tier":"tin"}`), "content-type", "application/cloudevents+json"),
		} {
			got, _, err := newConverter(set).convert(nil, m)
			if err != nil {
				t.Fatalf("%q: %v", set, err)
			}
			var members map[string]any
			if err := json.Unmarshal(got, &members); err != nil {
				t.Fatalf("%s: %v", got, err)
			}
			for name, value := range set {
				if members[name] != value {
					t.Errorf("%s is %q, not %q", name, members[name], value)
				}
			}
		}
	})
}
