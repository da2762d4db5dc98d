package kafka

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	binding "github.com/cloudevents/sdk-go/protocol/kafka_sarama/v2"
	cloudevents "github.com/cloudevents/sdk-go/v2"
	sdk "github.com/cloudevents/sdk-go/v2/binding"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

func message(value []byte, headers ...string) *sarama.ConsumerMessage {
	m := &sarama.ConsumerMessage{Topic: topic, Partition: 3, Offset: 17, Value: value}
	for i := 0; i < len(headers); i += 2 {
		m.Headers = append(m.Headers, &sarama.RecordHeader{Key: []byte(headers[i]), Value: []byte(headers[i+1])})
	}
	return m
}

const stamps = `"knativekafkaoffset":"17","knativekafkapartition":3`

var minimal = []string{"ce_specversion", "1.0", "ce_id", "1", "ce_source", "/s", "ce_type", "t"}

func TestConvertBinary(t *testing.T) {
	t.Parallel()
	const start = `{"specversion":"1.0","id":"1","source":"/s","type":"t",`
	for _, test := range []struct {
		name    string
		value   string
		headers []string
		want    string
	}{
		{"no data", "", nil, start + stamps + `}`},
		{"JSON without a content type", `{"a": 1}`, nil, start + stamps + `,"data":{"a": 1}}`},
		{"JSON", `{"a":1}`, []string{"content-type", "application/json"}, start + `"datacontenttype":"application/json",` + stamps + `,"data":{"a":1}}`},
		{"JSON with a charset", `[]`, []string{"Content-Type", "Application/JSON;charset=UTF-8"}, start + `"datacontenttype":"Application/JSON;charset=UTF-8",` + stamps + `,"data":[]}`},
		{"a kind of JSON", `1`, []string{"content-type", "application/vnd.x+json"}, start + `"datacontenttype":"application/vnd.x+json",` + stamps + `,"data":1}`},
		{"no media type", `1`, []string{"content-type", "vnd.x+json"}, start + `"datacontenttype":"vnd.x+json",` + stamps + `,"data_base64":"MQ=="}`},
		{"content type as an attribute", `1`, []string{"ce_datacontenttype", "text/json"}, start + `"datacontenttype":"text/json",` + stamps + `,"data":1}`},
		{"text", `hi`, []string{"content-type", "text/plain"}, start + `"datacontenttype":"text/plain",` + stamps + `,"data_base64":"aGk="}`},
		{"no JSON, as it claims", `{"a":1}]`, nil, start + stamps + `,"data_base64":"eyJhIjoxfV0="}`},
		{"a name twice", `{"a":1,"a":2}`, nil, start + stamps + `,"data_base64":"eyJhIjoxLCJhIjoyfQ=="}`},
		{"bad UTF-8", "\"\xff\"", nil, start + stamps + `,"data_base64":"Iv8i"}`},
		{"breaking out of the batch", `1},{"specversion":"1.0","id":"forged"`, nil, start + stamps + `,"data_base64":"MX0seyJzcGVjdmVyc2lvbiI6IjEuMCIsImlkIjoiZm9yZ2VkIg=="}`},
		{"quotes", "", []string{"ce_subject", `a"b\c` + "\n"}, start + `"subject":"a\"b\\c\n",` + stamps + `}`},
		{"unknown extension", "", []string{"ce_new", "x"}, start + `"new":"x",` + stamps + `}`},
		{"upper case", "", []string{"CE_Subject", "x"}, start + `"subject":"x",` + stamps + `}`},
		{"the last of two", "", []string{"ce_id", "2"}, strings.Replace(start, `"id":"1"`, `"id":"2"`, 1) + stamps + `}`},
		{"stamped before", "", []string{"ce_knativekafkaoffset", "1", "ce_knativekafkapartition", "1"}, start + stamps + `}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, _, err := newConverter(nil).convert([]byte("["), message([]byte(test.value), append(minimal[:8:8], test.headers...)...))
			if err != nil || string(got) != "["+test.want {
				t.Errorf("got %s, %v\nwant [%s", got, err, test.want)
			}
		})
	}
}

func TestConvertStructured(t *testing.T) {
	t.Parallel()
	const event = `{"specversion":"1.0","id":"1","source":"/s","type":"t"`
	for _, test := range []struct{ name, value, want string }{
		{"as it is", event + `,"n":1,"data":{"a": [1, 2]}}`, event + `,"n":1,"data":{"a": [1, 2]},` + stamps + `}`},
		{"white space", " { \"id\" : \"1\",\n\"source\":\"/s\",\"type\":\"t\",\"specversion\":\"1.0\"} ", `{"id":"1","source":"/s","type":"t","specversion":"1.0",` + stamps + `}`},
		{"null is absent", strings.Replace(event, `{`, `{"subject":null,`, 1) + `}`, event + `,` + stamps + `}`},
		{"stamped before", event + `,"knativekafkaoffset":"1","knativekafka\u0070artition":9}`, event + `,` + stamps + `}`},
	} {
		for _, contentType := range []string{"application/cloudevents+json", "application/cloudevents+json; charset=utf-8", "Application/CloudEvents+JSON"} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				got, _, err := newConverter(nil).convert(nil, message([]byte(test.value), "content-type", contentType))
				if err != nil || string(got) != test.want {
					t.Errorf("got %s, %v\nwant %s", got, err, test.want)
				}
			})
		}
	}
}

func TestConvertRefuses(t *testing.T) {
	t.Parallel()
	structured := []string{"content-type", "application/cloudevents+json"}
	many := append([]string{}, minimal...)
	for i := range maxAttributes + 1 {
		many = append(many, "ce_a"+strconv.Itoa(i), "x")
	}
	for _, test := range []struct {
		name    string
		m       *sarama.ConsumerMessage
		because string
	}{
		{"null", message(nil, minimal...), "null"},
		{"raw", message([]byte("hello")), "without specversion 1.0, id, source, type"},
		{"without an id", message([]byte("1"), "ce_specversion", "1.0", "ce_source", "/s", "ce_type", "t"), "without id"},
		{"empty type", message([]byte("1"), "ce_specversion", "1.0", "ce_source", "/s", "ce_type", "", "ce_id", "1"), "without type"},
		{"another version", message([]byte("1"), append(minimal[:8:8], "ce_specversion", "0.3")...), "without specversion 1.0"},
		{"bad UTF-8", message([]byte("1"), append(minimal[:8:8], "ce_subject", "\xff")...), "attribute subject"},
		{"bad UTF-8 in the content type", message([]byte("1"), append(minimal[:8:8], "content-type", "a/\xff")...), "attribute datacontenttype"},
		{"data as an attribute", message([]byte("1"), append(minimal[:8:8], "ce_data", "1")...), `"data" is no name`},
		{"base64 as an attribute", message([]byte("1"), append(minimal[:8:8], "ce_data_base64", "1")...), `"data_base64" is no name`},
		{"a quote in a name", message([]byte("1"), append(minimal[:8:8], `ce_x":1,"y`, "1")...), "is no name"},
		{"too many attributes", message([]byte("1"), many...), "more than"},
		{"a batch in a record", message([]byte("[]"), "content-type", "application/cloudevents-batch+json"), "not supported"},
		{"another format", message([]byte("x"), "content-type", "application/cloudevents+avro"), "not supported"},
		{"structured: no JSON", message([]byte("hello"), structured...), "structured event"},
		{"structured: empty", message([]byte{}, structured...), "structured event"},
		{"structured: array", message([]byte("[1]"), structured...), "not a JSON object"},
		{"structured: cut", message([]byte(`{"id":"1"`), structured...), "structured event"},
		{"structured: twice", message([]byte(`{"id":"1","i\u0064":"2"}`), structured...), "structured event"},
		{"structured: more", message([]byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t"},{}`), structured...), "something follows"},
		{"structured: number as id", message([]byte(`{"specversion":"1.0","id":1,"source":"/s","type":"t"}`), structured...), "without id"},
		{"structured: null id", message([]byte(`{"specversion":"1.0","id":null,"source":"/s","type":"t"}`), structured...), "without id"},
		{"structured: empty object", message([]byte(`{}`), structured...), "without"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, _, err := newConverter(nil).convert([]byte("["), test.m)
			if err == nil || !strings.Contains(err.Error(), test.because) || string(got) != "[" {
				t.Errorf("got %q, %v, want an error about %q", got, err, test.because)
			}
		})
	}
}

func TestConvertOverrides(t *testing.T) {
	t.Parallel()
	c := newConverter(map[string]string{"tier": "g\"old", "knativekafkaoffset": "none"})
	for _, m := range []*sarama.ConsumerMessage{
		message([]byte("1"), append(minimal[:8:8], "ce_tier", "tin")...),
		message([]byte(`{"tier":"tin","specversion":"1.0","id":"1","source":"/s","type":"t","data":1}`), "content-type", "application/cloudevents+json"),
	} {
		got, _, err := c.convert(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		event := cloudevents.NewEvent()
		if err := json.Unmarshal(got, &event); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		want := map[string]any{"tier": `g"old`, "knativekafkaoffset": "none", "knativekafkapartition": int32(3)}
		if !reflect.DeepEqual(event.Extensions(), want) {
			t.Errorf("extensions %v, want %v", event.Extensions(), want)
		}
	}
}

// What the trigger sends decodes to the event that the SDK's own Kafka binding
// makes of the record, in both modes.
func TestConvertsAsTheSDK(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := drawMessage(t)
		want, sdkErr := sdk.ToEvent(context.Background(), binding.NewMessageFromConsumerMessage(m))
		got, e, err := newConverter(nil).convert(nil, m)
		if sdkErr == nil && want.Validate() == nil && err != nil {
			t.Fatalf("refused what the SDK takes: %v", err)
		}
		if err != nil {
			return
		}
		if sdkErr != nil {
			t.Fatalf("took what the SDK refuses: %v\n%s", sdkErr, got)
		}
		var batch []cloudevents.Event
		if err := json.Unmarshal([]byte("["+string(got)+"]"), &batch); err != nil || len(batch) != 1 {
			t.Fatalf("%v: %s", err, got)
		}
		same(t, batch[0], *want)
		tenant, _ := want.Extensions()["tenantid"].(string)
		if string(e.tenant) != tenant || string(e.subject) != want.Subject() {
			t.Fatalf("entity %s %s, want %s %s", e.tenant, e.subject, tenant, want.Subject())
		}
	})
}

func same(t *rapid.T, got, want cloudevents.Event) {
	if got.Extensions()["knativekafkaoffset"] != "17" || got.Extensions()["knativekafkapartition"] != int32(3) {
		t.Fatalf("stamps: %v", got.Extensions())
	}
	for _, name := range []string{"knativekafkaoffset", "knativekafkapartition"} {
		got.SetExtension(name, nil)
		want.SetExtension(name, nil)
	}
	for _, name := range []string{"kafkaoffset", "kafkapartition", "kafkatopic"} { // the binding's own, in binary mode
		want.SetExtension(name, nil)
	}
	if !reflect.DeepEqual(canonical(got.Data()), canonical(want.Data())) {
		t.Fatalf("data %s, want %s", got.Data(), want.Data())
	}
	if !reflect.DeepEqual(got.Context, want.Context) {
		t.Fatalf("got %v\nwant %v", got, want)
	}
}

func canonical(data []byte) string {
	v := jsontext.Value(data).Clone()
	if v.Canonicalize() == nil {
		return string(v)
	}
	return string(data)
}

func drawMessage(t *rapid.T) *sarama.ConsumerMessage {
	e := cloudevents.NewEvent()
	word := rapid.StringMatching(`[!-~äöü€😀][ -~äöü€😀]{0,8}[!-~äöü€😀]`)
	e.SetID(word.Draw(t, "id"))
	e.SetType(word.Draw(t, "type"))
	e.SetSource("/" + rapid.StringMatching(`[a-z/]{0,10}`).Draw(t, "source"))
	if rapid.Bool().Draw(t, "has subject") {
		e.SetSubject(word.Draw(t, "subject"))
	}
	if rapid.Bool().Draw(t, "has time") {
		e.SetTime(time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "time"), 5).UTC())
	}
	for _, name := range rapid.SliceOfN(rapid.SampledFrom([]string{"tenantid", "partitionkey", "sequence", "traceparent", "knativekafkaoffset", "x1"}), 0, 4).Draw(t, "extensions") {
		e.SetExtension(name, word.Draw(t, name))
	}
	contentType := rapid.SampledFrom([]string{"application/json", "application/json; charset=utf-8", "text/json", "text/plain", "application/octet-stream"}).Draw(t, "content type")
	data := rapid.SampledFrom([]string{`{"a": 1.50, "b":["\u00e4", null]}`, `"x"`, ` [ ] `, `no JSON`, "\xff\x00", ``, `{"a":1,"a":2}`}).Draw(t, "data")
	if rapid.Bool().Draw(t, "structured") {
		return drawStructured(t, e, contentType, data)
	}
	m := message([]byte(data), "ce_specversion", "1.0", "ce_id", e.ID(), "ce_type", e.Type(), "ce_source", e.Source())
	add := func(key, value string) {
		m.Headers = append(m.Headers, &sarama.RecordHeader{Key: []byte(key), Value: []byte(value)})
	}
	if e.Subject() != "" {
		add("ce_subject", e.Subject())
	}
	if !e.Time().IsZero() {
		add("ce_time", e.Time().Format(time.RFC3339Nano))
	}
	for name, value := range e.Extensions() {
		add("ce_"+name, fmt.Sprint(value))
	}
	if rapid.Bool().Draw(t, "typed") {
		add("content-type", contentType)
	}
	return m
}

func drawStructured(t *rapid.T, e cloudevents.Event, contentType, data string) *sarama.ConsumerMessage {
	if contentType != "text/plain" && contentType != "application/octet-stream" && !jsontext.Value(data).IsValid() {
		data = `{}`
	}
	if err := e.SetData(contentType, []byte(data)); err != nil {
		t.Fatal(err)
	}
	e.DataBase64 = contentType == "application/octet-stream" || contentType == "text/plain" && strings.Contains(data, "\xff")
	value, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return message(value, "content-type", "application/cloudevents+json")
}

// Whatever a record holds, an event made of it is one valid JSON object, so that
// it can't break out of its batch.
func FuzzConvert(f *testing.F) {
	f.Add([]byte(`{"a":1}`), "ce_subject", "x", "application/json")
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{}}`), "ce_x", "y", "application/cloudevents+json")
	f.Add([]byte(`1},{`), "ce_data", "\xff", "")
	f.Fuzz(func(t *testing.T, value []byte, key, attribute, contentType string) {
		m := message(value, append(minimal[:8:8], key, attribute, "content-type", contentType)...)
		got, _, err := newConverter(map[string]string{"o": "p"}).convert(nil, m)
		if err != nil {
			return
		}
		if v := jsontext.Value(got); !v.IsValid() || v.Kind() != '{' {
			t.Errorf("%q is no valid JSON object", got)
		}
	})
}

func benchmarkMessage() *sarama.ConsumerMessage {
	return message([]byte(`{"instrument":"US0378331005","side":"buy","quantity":"120","price":"187.4500","currency":"USD","fee":"1.20","desk":"eq-1","trader":"t-4711","venue":"XNAS","note":"none"}`),
		"ce_specversion", "1.0", "ce_id", "8d4f3c1e-6a44-4a0f-9c0e-2b0f1b7f5a11", "ce_source", "/oms/eu-1", "ce_type", "trade.executed.v1",
		"ce_subject", "account-4711", "ce_time", "2026-01-02T03:04:05.123456Z", "ce_tenantid", "acme", "ce_sequence", "123456",
		"ce_partitionkey", "account-4711", "content-type", "application/json")
}

func BenchmarkConvert(b *testing.B) {
	m, c := benchmarkMessage(), newConverter(nil)
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst, _, _ = c.convert(dst[:0], m)
	}
}

func BenchmarkConvertStructured(b *testing.B) {
	event, _, _ := newConverter(nil).convert(nil, benchmarkMessage())
	m, c := message(event, "content-type", "application/cloudevents+json"), newConverter(nil)
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst, _, _ = c.convert(dst[:0], m)
	}
}

func BenchmarkConvertBySDK(b *testing.B) {
	m := benchmarkMessage()
	b.ReportAllocs()
	for b.Loop() {
		event, err := sdk.ToEvent(context.Background(), binding.NewMessageFromConsumerMessage(m))
		if err != nil {
			b.Fatal(err)
		}
		if _, err = json.Marshal(event); err != nil {
			b.Fatal(err)
		}
	}
}
