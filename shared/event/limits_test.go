package event

import (
	"fmt"
	"strings"
	"testing"
)

// A body has room for a million attributes; reading stops at the limit.
func TestExtensionsAreBoundedWhileReading(t *testing.T) {
	t.Parallel()
	var attributes strings.Builder
	for n := range MaxExtras + 1 {
		fmt.Fprintf(&attributes, `,"x%d":"1"`, n)
	}
	r := ParseStructured([]byte(`{"specversion":"1.0","id":"1","source":"/s","type":"a.b"` + attributes.String() + `}`))
	if invalid := AsInvalid(r.Err); invalid == nil || invalid.Reason != BadAttribute {
		t.Errorf("got %v", r.Err)
	}
}
