package kafka

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/IBM/sarama"
	binding "github.com/cloudevents/sdk-go/protocol/kafka_sarama/v2"
	cloudevents "github.com/cloudevents/sdk-go/v2"
	sdk "github.com/cloudevents/sdk-go/v2/binding"
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
		read := cloudevents.NewEvent()
		if err := json.Unmarshal(got, &read); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		if read.ID() != want.ID() || read.Source() != want.Source() || read.Type() != want.Type() || read.Subject() != want.Subject() ||
			!read.Time().Equal(want.Time()) || canonical(read.Data()) != canonical(want.Data()) {
			t.Errorf("%s\nby the SDK %s", read, want)
		}
		if tenant, ok := want.Extensions()["tenantid"].(string); ok && tenant != string(e.tenant) {
			t.Errorf("tenant %q, by the SDK %q", e.tenant, tenant)
		}
		if string(e.subject) != want.Subject() {
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
