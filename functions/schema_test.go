package functions_test

import (
	"encoding"
	"encoding/json"
	"errors"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/function/functiontest"
	"github.com/millrace/millrace/shared/money"
)

// What a JSON Schema has no words for. Everything else that a function refuses
// to read, the schema must refuse, and the other way round.
var beyondSchema = regexp.MustCompile(`sum to|digits after the point of|^bad-payload: details`)

// all are the event types of all functions.
func all() iter.Seq2[function.Definition, string] {
	return func(yield func(function.Definition, string) bool) {
		for _, fn := range functions.All() {
			for _, eventType := range fn.Types() {
				if !yield(fn, eventType) {
					return
				}
			}
		}
	}
}

func schemaPath(fn function.Definition, eventType string) string {
	return filepath.Join(fn.FunctionName(), "schema", eventType+".json")
}

// schema is what these tests read of a JSON Schema.
type schema struct {
	Title                string             `json:"title"`
	Ref                  string             `json:"$ref"`
	Defs                 map[string]*schema `json:"$defs"`
	AdditionalProperties any                `json:"additionalProperties"` // false, or the schema of a map's values
	Properties           map[string]*schema `json:"properties"`
	Items                *schema            `json:"items"`
	Examples             []any              `json:"examples"`
}

func readSchema(t *testing.T, fn function.Definition, eventType string) *schema {
	t.Helper()
	text, err := os.ReadFile(schemaPath(fn, eventType))
	if err != nil {
		t.Fatal(err)
	}
	s := &schema{}
	if err := json.Unmarshal(text, s); err != nil {
		t.Fatalf("%s: %v", schemaPath(fn, eventType), err)
	}
	return s
}

func compile(t testing.TB, fn function.Definition, eventType string) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	compiler.RegisterFormat(&jsonschema.Format{Name: "currency", Validate: func(v any) error {
		code, ok := v.(string)
		if !ok {
			return nil
		}
		_, err := money.ParseCurrency(code)
		return err
	}})
	schema, err := compiler.Compile(schemaPath(fn, eventType))
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func TestEverySchemaHasItsEventType(t *testing.T) {
	t.Parallel()
	var want []string
	for fn, eventType := range all() {
		want = append(want, schemaPath(fn, eventType))
	}
	got, err := filepath.Glob("*/schema/*.json")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("there are the schemas %q\nwant %q", got, want)
	}
}

// TestSchemasHaveTheFieldsOfThePayloads compares names, also of what is nested.
func TestSchemasHaveTheFieldsOfThePayloads(t *testing.T) {
	t.Parallel()
	for fn, eventType := range all() {
		t.Run(eventType, func(t *testing.T) {
			t.Parallel()
			root := readSchema(t, fn, eventType)
			if root.Title != eventType {
				t.Errorf("title %q", root.Title)
			}
			compareFields(t, root, root, reflect.TypeOf(fn.SamplePayload(eventType)))
		})
	}
}

var textual = reflect.TypeFor[encoding.TextUnmarshaler]()

func compareFields(t *testing.T, root, s *schema, of reflect.Type) {
	t.Helper()
	if s.Ref != "" {
		s = root.Defs[strings.TrimPrefix(s.Ref, "#/$defs/")]
	}
	if s.AdditionalProperties != false {
		t.Errorf("the schema of %s lets unknown members through", of)
	}
	fields := map[string]reflect.Type{}
	for field := range of.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		fields[name] = field.Type
	}
	got, want := slices.Sorted(maps.Keys(s.Properties)), slices.Sorted(maps.Keys(fields))
	if !slices.Equal(got, want) {
		t.Errorf("the schema of %s has %q, the type %q", of, got, want)
		return
	}
	for name, field := range fields {
		property := s.Properties[name]
		if field.Kind() == reflect.Slice {
			property, field = property.Items, field.Elem()
		}
		if field.Kind() == reflect.Struct && !reflect.PointerTo(field).Implements(textual) {
			compareFields(t, root, property, field)
		}
	}
}

func examples(t *testing.T, fn function.Definition, eventType string) []any {
	t.Helper()
	list := readSchema(t, fn, eventType).Examples
	if len(list) == 0 {
		t.Fatalf("%s has no examples", schemaPath(fn, eventType))
	}
	return list
}

func decode(t functiontest.TB, fn function.Definition, eventType string, data any) error {
	t.Helper()
	text, err := json.Marshal(data)
	if err != nil {
		t.Fatalf("encoding %v: %v", data, err)
	}
	_, err = fn.Decode(functiontest.Event(eventType, "acct-1", "/desk", "1", string(text)))
	return err
}

func TestExamplesAreValid(t *testing.T) {
	t.Parallel()
	for fn, eventType := range all() {
		t.Run(eventType, func(t *testing.T) {
			t.Parallel()
			schema := compile(t, fn, eventType)
			for _, example := range examples(t, fn, eventType) {
				if err := errors.Join(schema.Validate(example), decode(t, fn, eventType, example)); err != nil {
					t.Errorf("%v: %v", example, err)
				}
			}
		})
	}
}

// odd are values that are right in few places. XXX is the code of ISO 4217 for no
// currency, XAU that of gold.
var odd = []any{
	nil, true, 1, 1.5, 0, "", " ", "x", "buy", "sell", "BUY", "USD", "JPY", "BHD", "usd", "XXX", "XAU", "ABC", "VES",
	"0", "-0", "0.0", "-0.00", "1", "-1", "1.5", "-1.50", "0.01", "0.001", "007", "1.", ".5", "+1", "1e3", "1E-2", "NaN",
	"Infinity", "-Infinity", "1,5", " 1", "0x1", "1_0", "١", strings.Repeat("9", 38), strings.Repeat("9", 39),
	strings.Repeat("9", 20) + "." + strings.Repeat("9", 18), strings.Repeat("9", 21) + "." + strings.Repeat("9", 18),
	"-" + strings.Repeat("9", 38), "-" + strings.Repeat("9", 39), "0." + strings.Repeat("0", 17) + "1",
	"0." + strings.Repeat("0", 18) + "1", "-0." + strings.Repeat("0", 17) + "1", "\x00", "a\x1fb", "\x7f", "a\nb", "\u0085",
	"é{}':\"; DROP TABLE trades; --", "\U0001F600", strings.Repeat("a", 64), strings.Repeat("a", 65),
	strings.Repeat("é", 64), strings.Repeat("é", 65), strings.Repeat("a", 128), strings.Repeat("é", 128),
	strings.Repeat("a", 129), strings.Repeat("é", 500), strings.Repeat("a", 501), strings.Repeat("é", 512),
	strings.Repeat("a", 513), []any{}, []any{"x"}, map[string]any{}, map[string]any{"x": 1},
}

// TestSchemasAgreeWithTheCode changes examples at random and asks both.
func TestSchemasAgreeWithTheCode(t *testing.T) {
	t.Parallel()
	for fn, eventType := range all() {
		t.Run(eventType, func(t *testing.T) {
			t.Parallel()
			schema, samples := compile(t, fn, eventType), examples(t, fn, eventType)
			rapid.Check(t, func(t *rapid.T) {
				data := mutate(t, rapid.SampledFrom(samples).Draw(t, "example"))
				bySchema, byCode := schema.Validate(data), decode(t, fn, eventType, data)
				switch {
				case bySchema != nil && byCode == nil:
					t.Fatalf("the schema refuses %v, the code takes it: %v", data, bySchema)
				case bySchema == nil && byCode != nil && !beyondSchema.MatchString(byCode.Error()):
					t.Fatalf("the code refuses %v, the schema takes it: %v", data, byCode)
				}
			})
		})
	}
}

// TestSchemasAgreeOnEveryOddValue puts each odd value into each place.
func TestSchemasAgreeOnEveryOddValue(t *testing.T) {
	t.Parallel()
	for fn, eventType := range all() {
		t.Run(eventType, func(t *testing.T) {
			t.Parallel()
			schema := compile(t, fn, eventType)
			for _, example := range examples(t, fn, eventType) {
				for _, place := range places(example) {
					for _, value := range odd {
						data := replaced(example, place, value)
						bySchema, byCode := schema.Validate(data), decode(t, fn, eventType, data)
						if (bySchema == nil) != (byCode == nil) && (byCode == nil || !beyondSchema.MatchString(byCode.Error())) {
							t.Errorf("%v\nschema: %v\ncode: %v", data, bySchema, byCode)
						}
					}
				}
			}
		})
	}
}

// mutate returns example with up to two changes.
func mutate(t *rapid.T, example any) any {
	for range rapid.IntRange(1, 2).Draw(t, "changes") {
		all := places(example)
		if len(all) == 0 {
			break
		}
		place := rapid.SampledFrom(all).Draw(t, "place")
		switch rapid.IntRange(0, 5).Draw(t, "change") {
		case 0:
			example = replaced(example, place, absent{})
		case 1:
			example = replaced(example, append(slices.Clone(place[:len(place)-1]), "unknown"), "x")
		case 2:
			if name, ok := place[len(place)-1].(string); ok {
				example = replaced(example, append(slices.Clone(place[:len(place)-1]), strings.ToUpper(name)), "1")
			}
		case 3:
			text := rapid.OneOf(rapid.StringMatching(`-?[0-9]{1,40}(\.[0-9]{1,20})?`), rapid.String())
			example = replaced(example, place, text.Draw(t, "text"))
		default:
			example = replaced(example, place, rapid.SampledFrom(odd).Draw(t, "odd"))
		}
	}
	return example
}

// absent stands for a member that is taken out.
type absent struct{}

// places returns the paths to every value in v.
func places(v any) (paths [][]any) {
	add := func(key, value any) {
		paths = append(paths, []any{key})
		for _, path := range places(value) {
			paths = append(paths, append([]any{key}, path...))
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			add(name, v[name])
		}
	case []any:
		for i, value := range v {
			add(i, value)
		}
	}
	return paths
}

// replaced returns a copy of v with another value at a place.
func replaced(v any, place []any, value any) any {
	if len(place) == 0 {
		return value
	}
	switch v := v.(type) {
	case map[string]any:
		changed := maps.Clone(v)
		name, _ := place[0].(string)
		changed[name] = replaced(v[name], place[1:], value)
		if changed[name] == (absent{}) {
			delete(changed, name)
		}
		return changed
	case []any:
		i, isIndex := place[0].(int)
		if !isIndex {
			return v
		}
		changed := slices.Clone(v)
		changed[i] = replaced(v[i], place[1:], value)
		if changed[i] == (absent{}) {
			changed = slices.Delete(changed, i, i+1)
		}
		return changed
	}
	return v
}
