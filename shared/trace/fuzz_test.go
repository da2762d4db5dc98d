package trace

import "testing"

// What is a traceparent is written as one that says the same.
func FuzzParse(f *testing.F) {
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	f.Add("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-09-more")
	f.Add("00-00000000000000000000000000000000-b7ad6b7169203331-01")
	f.Fuzz(func(t *testing.T, text string) {
		c := Parse(text)
		if again := Parse(Format(c)); c.IsValid() && !again.Equal(c) {
			t.Fatalf("%q is %v, and written and read again %v", text, c, again)
		}
	})
}
