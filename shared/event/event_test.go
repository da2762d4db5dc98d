package event

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

const minimal = `"specversion":"1.0","id":"a","source":"/s","type":"trade.executed.v1","subject":"x","tenantid":"acme","time":"2026-06-01T00:30:00+02:00"`

func parseOne(t *testing.T, members string) *Event {
	t.Helper()
	r := ParseStructured([]byte("{" + members + "}"))
	if r.Err != nil {
		t.Fatalf("%s: %v", members, r.Err)
	}
	return r.Event
}

func TestParseStructured(t *testing.T) {
	t.Parallel()
	e := parseOne(t, minimal+`,"sequence":7,"partitionkey":"p","traceparent":"00-1","data":{"b": 1, "a": "é"}`)
	want := &Event{
		TenantID: "acme", Source: "/s", ID: "a", Type: "trade.executed.v1", Subject: "x",
		Time: time.Date(2026, 5, 31, 22, 30, 0, 0, time.UTC), Sequence: 7, TraceParent: "00-1",
		Data: []byte(`{"b": 1, "a": "é"}`), IsJSON: true, Extensions: map[string]string{"partitionkey": "p"},
	}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Error(diff)
	}
	if err := e.Validate(now); err != nil {
		t.Error(err)
	}
	if got := e.Month().Format(time.DateOnly); got != "2026-05-01" {
		t.Errorf("month %s, want that of the UTC time", got)
	}
	if e.Function() != "trade" {
		t.Errorf("function %q", e.Function())
	}
}

// TestDataIsWhatItsContentTypeSays: base64 is only how it travels.
func TestDataIsWhatItsContentTypeSays(t *testing.T) {
	t.Parallel()
	const object = `"data_base64":"eyJhIjoxfQ=="` // {"a":1}
	for _, test := range []struct {
		members string
		isJSON  bool
	}{
		{object, true},
		{object + `,"datacontenttype":"application/json"`, true},
		{object + `,"datacontenttype":"text/json; charset=utf-8"`, true},
		{object + `,"datacontenttype":"application/vnd.acme+json"`, true},
		{object + `,"datacontenttype":"text/plain"`, false},
		{object + `,"datacontenttype":"vnd.acme+json"`, false}, // no media type
		{object + `,"datacontenttype":"json"`, false},
		{`"datacontenttype":"application/json","data_base64":"AAAA"`, false},
		{`"datacontenttype":"application/json"`, false},
		{`"datacontenttype":"application/json","data_base64":""`, false},
	} {
		e := parseOne(t, minimal+","+test.members)
		if e.IsJSON != test.isJSON {
			t.Errorf("%s: JSON is %t", test.members, e.IsJSON)
		}
		plain := parseOne(t, minimal+`,"data":{"a":1}`)
		if same := e.Digest() == plain.Digest(); same != test.isJSON {
			t.Errorf("%s: the same as its plain form is %t", test.members, same)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, raw, want string }{
		{"no JSON", `nonsense`, Malformed},
		{"no object", `[]`, Malformed},
		{"two events", `{` + minimal + `}{}`, Malformed},
		{"duplicate name", `{` + minimal + `,"id":"b"}`, Malformed},
		{"wrong case", `{` + minimal + `,"ID":"b"}`, Malformed},
		{"old version", `{"specversion":"0.3","id":"a"}`, "specversion"},
		{"structured attribute", `{` + minimal + `,"ext":{}}`, Malformed},
		{"both kinds of data", `{` + minimal + `,"data":1,"data_base64":"AA=="}`, Malformed},
		{"bad base64", `{` + minimal + `,"data_base64":"*"}`, Malformed},
		{"bad text", "{" + minimal + `,"ext":"` + "\xff" + `"}`, Malformed},
		{"sequence of words", `{` + minimal + `,"sequence":"seven"}`, BadAttribute},
		{"sequence zero", `{` + minimal + `,"sequence":0}`, BadAttribute},
		{"sequence 2^53", `{` + minimal + `,"sequence":9007199254740992}`, BadAttribute},
		{"time of words", `{"specversion":"1.0","time":"noon"}`, BadAttribute},
	} {
		r := ParseStructured([]byte(test.raw))
		if r.Err == nil || AsInvalid(r.Err) == nil || !strings.Contains(r.Err.Error(), test.want) {
			t.Errorf("%s: got %v, want %s", test.name, r.Err, test.want)
		}
		if string(r.Raw) != test.raw {
			t.Errorf("%s: the raw bytes are lost", test.name)
		}
	}
}

func TestValidateRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*Event)
		want   string
	}{
		{"no tenant", func(e *Event) { e.TenantID = "" }, "tenantid is missing"},
		{"no subject", func(e *Event) { e.Subject = "" }, "subject is missing"},
		{"no id", func(e *Event) { e.ID = "" }, "id is missing"},
		{"no time", func(e *Event) { e.Time = time.Time{} }, "time is missing"},
		{"NUL", func(e *Event) { e.Subject = "a\x00b" }, "control character"},
		{"bad UTF-8", func(e *Event) { e.ID = "\xff" }, "UTF-8"},
		{"long", func(e *Event) { e.Source = strings.Repeat("s", MaxSource+1) }, "513 bytes, 512 are allowed"},
		{"space in the source", func(e *Event) { e.Source = "a b" }, "space"},
		{"year 1999", func(e *Event) { e.Time = time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC) }, BadTime},
		{"year 9999", func(e *Event) { e.Time = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) }, BadTime},
		{"extension", func(e *Event) { e.Extensions = map[string]string{"x": "\n"} }, "control character"},
	} {
		e := parseOne(t, minimal)
		test.change(e)
		if err := e.Validate(now); err == nil || AsInvalid(err) == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		}
	}
}

func TestParseBatch(t *testing.T) {
	t.Parallel()
	received, err := ParseBatch([]byte(` [ {`+minimal+`} , 7, {"id":1,"id":2}, {`+minimal+`,"data":"`+"\xff"+`"} ] `), 4, 1<<10)
	if err != nil {
		t.Fatal(err)
	}
	var good int
	for _, r := range received {
		if r.Err == nil {
			good++
		}
	}
	if len(received) != 4 || good != 1 || string(received[1].Raw) != "7" {
		t.Errorf("%d events, %d good, %+v", len(received), good, received)
	}
	for _, body := range []string{``, `{}`, `[`, `[{]`, `[] []`, `[1,]`, `null`} {
		if _, err := ParseBatch([]byte(body), 10, 1<<10); err == nil {
			t.Errorf("%q was read as a batch", body)
		}
	}
}

// A large event is not read for the sake of being refused.
func TestParseBatchMeasuresFirst(t *testing.T) {
	t.Parallel()
	large := `{` + minimal + `,"data":"` + strings.Repeat("x", 1<<20) + `"}`
	body := []byte("[" + large + ",{" + minimal + "}]")
	received, err := ParseBatch(body, 2, len(large)-1)
	if err != nil {
		t.Fatal(err)
	}
	if len(received) != 2 || !errors.Is(received[0].Err, ErrTooLarge) || received[0].Event != nil || string(received[0].Raw) != large || received[1].Err != nil {
		t.Errorf("%d events: %v, %v", len(received), received[0].Err, received[1].Err)
	}
	if received, err := ParseBatch(body, 2, len(large)); err != nil || received[0].Err != nil {
		t.Errorf("of the largest size: %v, %v", err, received[0].Err)
	}
}

func TestParseBinary(t *testing.T) {
	t.Parallel()
	attributes := map[string]string{"specversion": "1.0", "id": "a", "source": "/s", "type": "t", "tenantid": "acme", "sequence": "3"}
	r := ParseBinary(attributes, "application/json; charset=utf-8", []byte(`{"a":1}`))
	if r.Err != nil || !r.Event.IsJSON || r.Event.Sequence != 3 {
		t.Errorf("got %+v", r)
	}
	if again := ParseStructured(r.Raw); again.Err != nil || again.Event.Digest() != r.Event.Digest() {
		t.Errorf("the structured form is another event: %s", r.Raw)
	}
	if r := ParseBinary(attributes, "application/json", []byte(`{`)); r.Err != nil || r.Event.IsJSON {
		t.Errorf("broken JSON was taken as JSON: %+v", r)
	}
	attributes["data"] = "not an attribute"
	if r := ParseBinary(attributes, "application/json", []byte(`{}`)); r.Err == nil {
		t.Error("data was taken as an attribute")
	}
	if r := ParseBinary(map[string]string{"id": "a"}, "", nil); r.Err == nil {
		t.Error("an event without specversion was read")
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	first := parseOne(t, minimal+`,"data":{"a":"1.10","b":[1,2]}`)
	for _, test := range []struct {
		members string
		same    bool
	}{
		{minimal + `,"data":{"b": [1, 2], "a":"1\u002e10"}`, true}, // written otherwise
		{strings.Replace(minimal, "00:30:00+02:00", "05:00:00Z", 1) + `,"data":{"a":"1.10","b":[1,2]}`, true},
		{minimal + `,"knativekafkaoffset":"7","traceparent":"x","data":{"a":"1.10","b":[1,2]}`, true},
		{minimal + `,"data":{"a":"1.1","b":[1,2]}`, false},
		{minimal + `,"data":{"a":"1.10","b":[2,1]}`, false},
		{minimal + `,"sequence":1,"data":{"a":"1.10","b":[1,2]}`, false},
		{strings.Replace(minimal, `"subject":"x"`, `"subject":"y"`, 1) + `,"data":{"a":"1.10","b":[1,2]}`, false},
	} {
		if got := parseOne(t, test.members).Digest() == first.Digest(); got != test.same {
			t.Errorf("%s: same is %v, want %v", test.members, got, test.same)
		}
	}
	long := parseOne(t, minimal+`,"data":12345678901234567890.00000000000000001`)
	other := parseOne(t, minimal+`,"data":12345678901234567890.00000000000000002`)
	if long.Digest() == other.Digest() {
		t.Error("two numbers became one")
	}
}

func FuzzParseBatch(f *testing.F) {
	f.Add([]byte(`[{` + minimal + `,"data":{"a":[1,"\u00e9"]}},{` + minimal + `,"data_base64":"AA==","x":true}]`))
	f.Add([]byte(`[{"specversion":"1.0","sequence":"9","time":"2026-01-01T00:00:00.123456789Z"}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		received, err := ParseBatch(body, 100, 1<<20)
		if err != nil {
			return
		}
		for _, r := range received {
			if r.Err != nil || r.Event.Validate(now) != nil {
				continue
			}
			again := ParseStructured(AppendJSON(nil, r.Event))
			if again.Err != nil {
				t.Fatalf("%s was written as what cannot be read: %v", r.Raw, again.Err)
			}
			if diff := cmp.Diff(r.Event, again.Event); diff != "" {
				t.Fatal(diff)
			}
			if again.Event.Digest() != r.Event.Digest() {
				t.Fatal("the digest changed")
			}
			if attributes := r.Event.OtherAttributes(); attributes != nil && !jsontext.Value(attributes).IsValid() {
				t.Fatalf("other attributes are no JSON: %s", attributes)
			}
		}
	})
}

func TestEnvelope(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ raw, want string }{
		{`{"id":"a","source":"/s","time":"noon","sequence":0,"data":{"id":"x"},"text":"y"}`, `{"id":"a","sequence":0,"source":"/s","time":"noon"}`},
		{`{"id":["a"],"tenantid":"t","knativekafkaoffset":"7"}`, `{"knativekafkaoffset":"7","tenantid":"t"}`},
		{`{"id":"a","id":"b"}`, `{"id":"b"}`},
		{`{"id":"` + strings.Repeat("a", MaxOther) + `","type":"t"}`, `{"type":"t"}`},
		{`{"id":"a","data":{"text":"cut o`, `{}`},
		{`[]`, `{}`},
		{``, `{}`},
	} {
		if got := string(Envelope([]byte(test.raw))); got != test.want {
			t.Errorf("%s leaves %s, want %s", test.raw, got, test.want)
		}
	}
}

func TestAttributes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		raw  string
		want map[string]string
	}{
		{`{"id":"a","sequence":0,"x":true,"time":"noon","data":{"id":"b"},"type":null,"subject":"é"}`, map[string]string{"id": "a", "sequence": "0", "x": "true", "time": "noon", "subject": "é"}},
		{`{"id":"a","id":"b","Id":"c","data_base64":"AA==","source":["s"]}`, map[string]string{"id": "a"}},
		{`{"id":"a","data":"cut o`, map[string]string{"id": "a"}},
		{`{"id":"` + strings.Repeat("a", MaxOther+1) + `","type":"t"}`, map[string]string{"type": "t"}},
		{`{"id":"a" "type":"t"}`, map[string]string{"id": "a"}},
		{`[{"id":"a"}]`, map[string]string{}},
		{``, map[string]string{}},
	} {
		if diff := cmp.Diff(test.want, Attributes([]byte(test.raw))); diff != "" {
			t.Errorf("%s: %s", test.raw, diff)
		}
	}
}
