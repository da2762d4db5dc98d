package knative

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite the files that are made of others")

// operators whose modules are too heavy to be built here. Of their kinds only the
// schemas are kept, in testdata, without descriptions.
var operators = []struct{ module, version, folder, licence, crds string }{
	{
		"github.com/cloudnative-pg/cloudnative-pg", "v1.28.0", "config/crd/bases",
		"Copyright © contributors to CloudNativePG, established as CloudNativePG a Series of LF Projects, LLC.",
		"postgresql.cnpg.io_clusters postgresql.cnpg.io_poolers postgresql.cnpg.io_scheduledbackups",
	},
	{
		"github.com/kedacore/keda/v2", "v2.21.0", "config/crd/bases", "Copyright 2021 The KEDA Authors.",
		"keda.sh_scaledobjects keda.sh_triggerauthentications",
	},
}

// crd is what is read of a CustomResourceDefinition.
type crd struct {
	Spec struct {
		Group    string                `json:"group"`
		Names    struct{ Kind string } `json:"names"`
		Versions []struct {
			Name   string
			Schema struct {
				OpenAPIV3Schema spec.Schema `json:"openAPIV3Schema"`
			}
		} `json:"versions"`
	} `json:"spec"`
}

// schemas are those in testdata, by version and kind.
var schemas = sync.OnceValue(func() map[string]*spec.Schema {
	found := map[string]*spec.Schema{}
	files, _ := filepath.Glob("testdata/crds/*.yaml")
	for _, file := range files {
		var c crd
		text, err := os.ReadFile(file)
		if err := errors.Join(err, yaml.Unmarshal(text, &c)); err != nil {
			panic(fmt.Errorf("%s: %w", file, err))
		}
		for _, v := range c.Spec.Versions {
			found[c.Spec.Group+"/"+v.Name+" "+c.Spec.Names.Kind] = &v.Schema.OpenAPIV3Schema
		}
	}
	return found
})

// checkSchema does what the API server does with a resource of such a kind, except
// for rules in CEL.
func checkSchema(u *unstructured.Unstructured) error {
	schema, ok := schemas()[u.GetAPIVersion()+" "+u.GetKind()]
	if !ok {
		return nil
	}
	errs := unknown(schema, u.Object, "")
	result := validate.NewSchemaValidator(schema, nil, "", strfmt.Default).Validate(u.Object)
	return errors.Join(append(errs, result.AsError())...)
}

// unknown finds the fields that a schema does not have.
func unknown(schema *spec.Schema, value any, path string) (errs []error) {
	if preserve, _ := schema.Extensions.GetBool("x-kubernetes-preserve-unknown-fields"); preserve || schema == nil {
		return nil
	}
	switch v := value.(type) {
	case []any:
		for n, item := range v {
			if schema.Items != nil {
				errs = append(errs, unknown(schema.Items.Schema, item, fmt.Sprintf("%s[%d]", path, n))...)
			}
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			field, known := schema.Properties[name]
			switch {
			case known && name == "metadata" && path == "": // which the API server knows
			case known:
				errs = append(errs, unknown(&field, v[name], path+"."+name)...)
			case schema.AdditionalProperties == nil:
				errs = append(errs, fmt.Errorf("unknown field %q", strings.TrimPrefix(path+"."+name, ".")))
			case schema.AdditionalProperties.Schema != nil:
				errs = append(errs, unknown(schema.AdditionalProperties.Schema, v[name], path+"."+name)...)
			}
		}
	}
	return errs
}

// With -update the schemas are read from the modules again.
func TestSchemas(t *testing.T) {
	t.Parallel()
	for _, o := range operators {
		for name := range strings.FieldsSeq(o.crds) {
			file := filepath.Join("testdata/crds", name+".yaml")
			head := fmt.Sprintf("# %s\n# Licensed under the Apache License, Version 2.0.\n# From %s %s,\n# %s/%s.yaml, without descriptions and status.\n", o.licence, o.module, o.version, o.folder, name)
			if *update {
				writeSchema(t, o.module+"@"+o.version, filepath.Join(o.folder, name+".yaml"), file, head)
			}
			if text, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(text), head) {
				t.Errorf("%s is not that of %s %s: go -C infra/knative test -run TestSchemas -update (%v)", file, o.module, o.version, err)
			}
		}
	}
}

func writeSchema(t *testing.T, module, from, to, head string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module).Output()
	var downloaded struct {
		Dir string `json:"Dir"`
	}
	if err := errors.Join(err, json.Unmarshal(out, &downloaded)); err != nil {
		t.Fatalf("%s: %v: %s", module, err, out)
	}
	text, err := os.ReadFile(filepath.Join(downloaded.Dir, from))
	var object map[string]any
	if err := errors.Join(err, yaml.Unmarshal(text, &object)); err != nil {
		t.Fatal(err)
	}
	versions, _, _ := unstructured.NestedSlice(object, "spec", "versions")
	for _, v := range versions {
		version, _ := v.(map[string]any)
		unstructured.RemoveNestedField(version, "schema", "openAPIV3Schema", "properties", "status")
	}
	text, err = yaml.Marshal(plain(object, false))
	if err := errors.Join(err, os.WriteFile(to, append([]byte(head), text...), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// plain leaves out descriptions; a field may be called so.
func plain(value any, fields bool) any {
	switch v := value.(type) {
	case map[string]any:
		kept := map[string]any{}
		for name, inner := range v {
			if _, text := inner.(string); fields || name != "description" || !text {
				kept[name] = plain(inner, name == "properties" && !fields)
			}
		}
		return kept
	case []any:
		for n := range v {
			v[n] = plain(v[n], false)
		}
	}
	return value
}
