package functions_test

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/function/functiontest"
)

// FuzzDecode gives data to each event type of all functions: the schema and the
// code agree about it, and what was decoded is the same when it is written and
// decoded again.
func FuzzDecode(f *testing.F) {
	type kind struct {
		function.Definition

		name   string
		schema *jsonschema.Schema
	}
	var kinds []kind
	for fn, eventType := range all() {
		compiled := compile(f, fn, eventType)
		text, err := os.ReadFile(schemaPath(fn, eventType))
		var read struct {
			Examples []jsontext.Value `json:"examples"`
		}
		if err == nil {
			err = json.Unmarshal(text, &read)
		}
		if err != nil {
			f.Fatal(err)
		}
		for _, example := range read.Examples {
			f.Add(uint8(len(kinds)), []byte(example))
		}
		kinds = append(kinds, kind{fn, eventType, compiled})
	}
	f.Fuzz(func(t *testing.T, number uint8, data []byte) {
		k := kinds[int(number)%len(kinds)]
		if !jsontext.Value(data).IsValid() {
			return // no event says that it is JSON
		}
		e := functiontest.Event(k.name, "acct-1", "/desk", "1", string(data))
		payload, err := k.Decode(e)
		if err != nil && event.AsInvalid(err) == nil {
			t.Fatalf("%T: %v", err, err)
		}
		value, bad := jsonschema.UnmarshalJSON(strings.NewReader(string(data)))
		if bad != nil {
			t.Fatal(bad)
		}
		switch bySchema := k.schema.Validate(value); {
		case bySchema != nil && err == nil:
			t.Errorf("%s: the schema refuses %s, the code takes it: %v", k.name, data, bySchema)
		case bySchema == nil && err != nil && !beyondSchema.MatchString(err.Error()):
			t.Errorf("%s: the code refuses %s, the schema takes it: %v", k.name, data, err)
		}
		if err != nil {
			return
		}
		text, err := json.Marshal(payload)
		if err != nil {
			t.Fatal(err)
		}
		e.Data = text
		again, err := k.Decode(e)
		if written, _ := json.Marshal(again); err != nil || string(written) != string(text) || reflect.TypeOf(again) != reflect.TypeOf(payload) {
			t.Errorf("%s: %s was written as %s, and that as %s: %v", k.name, data, text, written, err)
		}
	})
}
