package layout

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/shared/kafka"
)

const asyncAPIFile = "../../docs/asyncapi.json"

// object is a JSON object.
type object = map[string]any

func reference(to ...string) object { return object{"$ref": "#/" + strings.Join(to, "/")} }

// The AsyncAPI description is made of the list of topics and of the functions'
// JSON schemas, so that it can neither lack one nor tell another story.
func TestAsyncAPIIsUpToDate(t *testing.T) {
	t.Parallel()
	want, err := json.MarshalIndent(asyncAPI(t), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(asyncAPIFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(asyncAPIFile); err != nil || string(got) != string(want) {
		t.Errorf("docs/asyncapi.json differs from the code (%v): go test ./infra/layout -update", err)
	}
}

func asyncAPI(t *testing.T) object {
	t.Helper()
	schemas := object{"cloudevent": envelope}
	messages := object{"dead-letter": deadLetter}
	channels, operations := object{}, object{}
	for _, topic := range topics.All(topics.ReplicationFactor) {
		channels[topic.Name] = channel(topic)
	}
	bury := func(name, topic, summary string) {
		operations["bury-"+name] = operation("send", topic, summary)
		channels[topic].(object)["messages"] = object{"dead-letter": reference("components", "messages", "dead-letter")} //nolint:errcheck // made above
	}
	for _, function := range topics.Functions() {
		operations["take-"+function] = operation("receive", topics.Events(function), "The function "+function+" decides the events.")
		bury(function, topics.DeadLetters(function), "What could not be decided or handed over, and what the rules refused.")
	}
	bury("others", kafka.OtherDeadLetters, "What came by a Knative Broker, could not be taken, and names no function.")
	for _, fn := range functions.All() {
		of := object{}
		for _, eventType := range fn.Types() {
			messages[eventType] = addType(t, schemas, fn.FunctionName(), eventType)
			of[eventType] = reference("components", "messages", eventType)
		}
		channels[topics.Events(fn.FunctionName())].(object)["messages"] = of //nolint:errcheck // made above
	}
	return object{
		"asyncapi": "3.0.0",
		"info": object{"title": "Millrace's topics", "version": "1",
			"description": "Events come as CloudEvents 1.0 in Kafka's structured mode, described here, or in binary mode. docs/events.md has their contract; docs/http.md tells how to send them by HTTP."},
		"defaultContentType": "application/cloudevents+json",
		"channels":           channels, "operations": operations,
		"components": object{"messages": messages, "schemas": schemas},
	}
}

func channel(topic topics.Topic) object {
	settings := object{}
	for name, value := range topic.Config {
		// The binding knows some of Kafka's settings only.
		if name == "retention.ms" {
			settings[name] = json.RawMessage(value)
		}
	}
	return object{"address": topic.Name, "bindings": object{"kafka": object{
		"topic": topic.Name, "partitions": topic.Partitions, "replicas": topic.ReplicationFactor,
		"topicConfiguration": settings, "bindingVersion": "0.5.0",
	}}}
}

func operation(action, topic, summary string) object {
	return object{"action": action, "channel": reference("channels", topic), "summary": summary}
}

// addType adds the schemas of an event type, and returns its message.
func addType(t *testing.T, schemas object, function, eventType string) object {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../functions", function, "schema", eventType+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema object
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatalf("the schema of %s: %v", eventType, err)
	}
	defs, _ := schema["$defs"].(object)
	for name, def := range defs {
		schemas[eventType+"."+name] = hoist(eventType, def)
	}
	summary := schema["description"]
	delete(schema, "$defs")
	delete(schema, "$schema")
	schemas[eventType] = hoist(eventType, schema)
	return object{
		"name": eventType, "title": eventType, "summary": summary, "contentType": "application/cloudevents+json",
		"payload": object{"allOf": []any{
			reference("components", "schemas", "cloudevent"),
			object{"type": "object", "required": []any{"data"}, "properties": object{
				"type": object{"const": eventType}, "data": reference("components", "schemas", eventType),
			}},
		}},
		"bindings": object{"kafka": object{"key": object{"type": "string", "description": "Any. Records of one key keep their order on the way."}, "bindingVersion": "0.5.0"}},
	}
}

// hoist rewrites a schema for a place in AsyncAPI, whose schemas are those of
// draft 7: definitions are schemas of their own, and what stands beside a $ref
// does not count.
func hoist(eventType string, schema any) any {
	switch schema := schema.(type) {
	case []any:
		out := make([]any, len(schema))
		for n, one := range schema {
			out[n] = hoist(eventType, one)
		}
		return out
	case object:
		out := object{}
		for name, value := range schema {
			out[name] = hoist(eventType, value)
		}
		def, ok := schema["$ref"].(string)
		if !ok {
			return out
		}
		to := reference("components", "schemas", eventType+"."+strings.TrimPrefix(def, "#/$defs/"))
		if delete(out, "$ref"); len(out) == 0 {
			return to
		}
		return object{"allOf": []any{to, out}}
	}
	return schema
}

func text(description string, limit int) object {
	return object{"type": "string", "minLength": 1, "maxLength": limit, "description": description}
}

// envelope is an event without its data; limits count bytes, which are at least
// as many as the characters that a schema counts.
var envelope = object{
	"type": "object", "description": "A CloudEvent, with the attributes that docs/events.md gives a meaning to.",
	"required": []any{"specversion", "id", "source", "type", "tenantid", "subject", "time"},
	"properties": object{
		"specversion": object{"const": "1.0"},
		"id":          text("With tenant and source the event's identity.", 512), "source": text("The producer.", 512),
		"type": text("Its first word names the function.", 128), "tenantid": text("The tenant.", 64), "subject": text("The entity.", 128),
		"time":             object{"type": "string", "format": "date-time", "description": "When it happened."},
		"sequence":         object{"type": []any{"integer", "string"}, "description": "Its place in the stream of tenant, source and subject, from 1."},
		"traceparent":      object{"type": "string", "description": "W3C trace context."},
		"millracedecision": object{"type": "string", "description": "Of what a function emits: by which decision. No producer sets it."},
	},
}

var deadLetter = object{
	"name": "dead-letter", "title": "A dead letter",
	"summary":     "The event with the attributes knativeerrordest, knativeerrorcode and knativeerrordata; what was no event comes as it was, with ce_ headers of these names. docs/events.md has both forms.",
	"contentType": "application/cloudevents+json",
	"payload":     object{"description": "The event, or the bytes that were none."},
}

// An example of each type is valid by the description, and one with an unknown
// member in its data is not: references and rewriting are right.
func TestAsyncAPIDescribesTheExamples(t *testing.T) {
	t.Parallel()
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft7)
	file, err := os.Open(asyncAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // it is only read
	doc, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := compiler.AddResource("asyncapi.json", doc); err != nil {
		t.Fatal(err)
	}
	for _, fn := range functions.All() {
		for _, eventType := range fn.Types() {
			payload, err := compiler.Compile("asyncapi.json#/components/messages/" + eventType + "/payload")
			if err != nil {
				t.Fatal(err)
			}
			data, err := compiler.Compile("asyncapi.json#/components/schemas/" + eventType)
			if err != nil {
				t.Fatal(err)
			}
			examples := doc.(object)["components"].(object)["schemas"].(object)[eventType].(object)["examples"].([]any) //nolint:errcheck // a panic tells as much
			for _, example := range examples {
				e := object{"specversion": "1.0", "id": "1", "source": "/s", "type": eventType, "tenantid": "t", "subject": "s", "time": "2026-11-20T09:00:00Z", "data": example}
				if err := payload.Validate(e); err != nil {
					t.Errorf("%s: %v", eventType, err)
				}
				broken := maps.Clone(example.(object)) //nolint:errcheck // as above
				broken["unknown"] = true
				if data.Validate(broken) == nil {
					t.Errorf("%s: an unknown member is let through", eventType)
				}
				for _, name := range slices.Sorted(maps.Keys(e)) {
					less := maps.Clone(e)
					delete(less, name)
					if payload.Validate(less) == nil {
						t.Errorf("%s without %s is let through", eventType, name)
					}
				}
			}
		}
	}
}
