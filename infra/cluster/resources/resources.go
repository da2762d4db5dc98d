// Package resources reads and writes Kubernetes resources as YAML, whatever their
// kind.
//
// It holds nothing that a crash could cost.
package resources

import (
	"bytes"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"
)

// Object is a resource as it was parsed.
type Object map[string]any

// Kind is its kind.
func (o Object) Kind() string { return fmt.Sprint(o["kind"]) }

// Name is its name, without its namespace.
func (o Object) Name() string { return fmt.Sprint(o.At("metadata")["name"]) }

// At is the map below some names, made where there is none.
func (o Object) At(names ...string) Object {
	for _, name := range names {
		switch next := o[name].(type) {
		case map[string]any:
			o = next
		case Object:
			o = next
		default:
			made := Object{}
			o[name] = made
			o = made
		}
	}
	return o
}

// Parse parses a stream of YAML documents; empty ones are left out.
func Parse(text []byte) ([]Object, error) {
	var all []Object
	for part := range strings.SplitSeq(string(text), "\n---") {
		var o Object
		if err := yaml.Unmarshal([]byte(part), &o); err != nil {
			return nil, err
		}
		if len(o) > 0 {
			all = append(all, o)
		}
	}
	return all, nil
}

// Text is a stream of YAML documents.
func Text(all ...Object) []byte {
	var out bytes.Buffer
	for _, o := range all {
		part, err := yaml.Marshal(o)
		if err != nil {
			panic(err) // it was parsed from YAML
		}
		fmt.Fprintf(&out, "---\n%s", part)
	}
	return out.Bytes()
}

// Split parts those that come first from the others.
func Split(all []Object, first func(Object) bool) (one, other []Object) {
	for _, o := range all {
		if first(o) {
			one = append(one, o)
		} else {
			other = append(other, o)
		}
	}
	return one, other
}
