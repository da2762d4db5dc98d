package binding

import "testing"

func TestDecodeHeader(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"plain":             "plain",
		"Euro%20%E2%82%AC":  "Euro €",
		"%25 once, %2525":   "% once, %25",
		"a+b":               "a+b",
		"100%":              "100%",
		`"quoted"`:          "quoted",
		`"a \"b\" \\ c%20"`: `a "b" \ c `,
		`"`:                 `"`,
		`half"`:             `half"`,
		"":                  "",
	} {
		if got := decodeHeader(value); got != want {
			t.Errorf("%s: got %q, want %q", value, got, want)
		}
	}
}
