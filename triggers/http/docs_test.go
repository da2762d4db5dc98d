package gateway

import (
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/millrace/millrace/infra/skiptest"
	"github.com/millrace/millrace/shared/binding"
)

// The examples of docs/http.md that put events into Kafka run as they stand, and
// answer what stands below them.
func TestExamplesOfTheDocumentation(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		skiptest.Missing(t, "curl is not installed: nobody knows whether the examples of docs/http.md work")
	}
	text, err := os.ReadFile("../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, nil)
	_, section, _ := strings.Cut(string(text), "## Into Kafka")
	section, _, _ = strings.Cut(section, "## Calls")
	blocks := regexp.MustCompile(`(?m)(^    .*\n)+`).FindAllString(section, -1)
	ran := 0
	for n, block := range blocks {
		if !strings.HasPrefix(block, "    curl ") {
			continue
		}
		ran++
		command := strings.ReplaceAll(block, "http://127.0.0.1:18077", w.url)
		got, err := exec.CommandContext(t.Context(), "sh", "-c", "curl() { command curl -sS \"$@\"; }\n"+command).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", command, err, got)
		}
		want := `{"events":[{"id":"`
		if n+1 < len(blocks) && strings.HasPrefix(blocks[n+1], "    {") {
			// A detail may end with the functions, of which there may be more.
			want = strings.TrimSuffix(strings.TrimSpace(blocks[n+1]), `"}`)
		}
		if !strings.HasPrefix(withoutPlaces(string(got)), withoutPlaces(want)) {
			t.Errorf("%s answers\n%s\nand not\n%s", block, got, want)
		}
	}
	if ran < 7 {
		t.Errorf("%d examples ran", ran)
	}
	w.stored(t, 5)
}

// The whole event of docs/events.md is taken.
func TestExampleEvent(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile(`(?m)^    \{\n(    .*\n)+`).FindString(string(text))
	w := newWorld(t, nil)
	w.send(t, request{"/v1/events", binding.StructuredMedia, example, nil}).wants(t, "the example", http.StatusAccepted, `"id":"T-1001","topic":"trade-events"`)
}

// withoutPlaces takes out where in Kafka an event is.
func withoutPlaces(answer string) string {
	return regexp.MustCompile(`"(partition|offset)":\d+`).ReplaceAllString(answer, `"$1":0`)
}
