package function

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/millrace/millrace/shared/event"
)

// decodePayload reads data strictly: names are case-sensitive, and unknown or
// repeated ones are refused.
func decodePayload[P Payload](data []byte) (P, error) {
	var p P
	if err := json.Unmarshal(data, &p, json.RejectUnknownMembers(true)); err != nil {
		return p, event.Invalidf(event.BadPayload, "%v", describe(err))
	}
	if err := p.Validate(); err != nil {
		return p, event.Invalidf(event.BadPayload, "%v", err)
	}
	return p, nil
}

// describe says what is wrong to people who write in other languages: without
// Go's types, and always in the same words, which the library makes a point of
// not doing.
func describe(err error) error {
	var semantic *json.SemanticError
	if !errors.As(err, &semantic) {
		return err
	}
	at := semantic.JSONPointer
	if at == "" {
		at = "the data"
	}
	switch {
	case errors.Is(semantic.Err, json.ErrUnknownName):
		return fmt.Errorf("%s is unknown: the type has no such member", at)
	case semantic.JSONKind == jsontext.KindNumber && semantic.GoType != nil && semantic.GoType.ConvertibleTo(reflect.TypeFor[int64]()):
		return fmt.Errorf("%s must be a whole number within 64 bits, without a point or an exponent", at)
	case semantic.JSONKind == jsontext.KindNumber && takesText(semantic.GoType):
		return fmt.Errorf("%s must not be a number: put it in quotes", at)
	case semantic.Err == nil || semantic.JSONKind != jsontext.KindString:
		return fmt.Errorf("%s must not be %s", at, kinds[semantic.JSONKind])
	}
	return fmt.Errorf("%s: %w", at, semantic.Err)
}

// takesText reports whether a value is a string in JSON, as exact decimals are.
func takesText(t reflect.Type) bool {
	if t == nil {
		return false
	}
	return t.Kind() == reflect.String || reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

var kinds = map[jsontext.Kind]string{
	jsontext.KindNull: "null", jsontext.KindFalse: "a boolean", jsontext.KindTrue: "a boolean",
	jsontext.KindString: "a string", jsontext.KindNumber: "a number",
	jsontext.KindBeginObject: "an object", jsontext.KindBeginArray: "an array",
}
