package deadletter

import "testing"

func TestCauseInWords(t *testing.T) {
	t.Parallel()
	for want, cause := range map[string]Cause{
		"undecodable: the value is null": {Reason: "undecodable", Data: []byte("the value is null")},
		"refused: 413 too large":         {Reason: "refused", Code: "413", Data: []byte("too large")},
		"refused: 413":                   {Reason: "refused", Code: "413"},
	} {
		if got := cause.String(); got != want {
			t.Errorf("it is %q, want %q", got, want)
		}
	}
}
