package observability

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/infra/skiptest"
	"github.com/millrace/millrace/infra/stack"
)

// Every panel of the dashboard shows something when a real Prometheus asks the
// processes; and the rules load in it.
func TestDashboardShowsSomething(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("prometheus"); err != nil { // where `task tools` may not install it
		skiptest.Missing(t, "prometheus is not installed (Debian: apt-get install prometheus): the dashboard is not tried on one")
	}
	p, addresses := start(t)
	at := prometheus(t, addresses)
	for _, q := range dashboard(t) {
		if strings.HasSuffix(q.expr, "> 0") { // shows only what is wrong
			continue
		}
		p.until(t, q.where+" shows something", func() bool { return results(t, at, q.expr) > 0 })
	}
}

// prometheus runs one that asks the addresses by job, and returns its own.
func prometheus(t *testing.T, addresses map[string]string) string {
	t.Helper()
	port, err := stack.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	rules, err := filepath.Abs("alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config := "global: {scrape_interval: 250ms, scrape_timeout: 250ms}\nrule_files: [" + rules + "]\nscrape_configs:\n"
	for job, address := range addresses {
		config += fmt.Sprintf("  - {job_name: %s, static_configs: [{targets: ['%s']}]}\n", job, address)
	}
	dir, at := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", port)
	if err := os.WriteFile(dir+"/prometheus.yml", []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	server := exec.CommandContext(t.Context(), "prometheus", "--config.file="+dir+"/prometheus.yml", "--storage.tsdb.path="+dir+"/data",
		"--web.listen-address="+at, "--log.level=error")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill() // it may have ended already
		_ = server.Wait()         // of which it tells here
	})
	return at
}

// results returns how many series a query finds.
func results(t *testing.T, at, query string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at+"/api/v1/query?query="+url.QueryEscape(query), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0 // it does not listen yet
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Error string `json:"error"`
		Data  struct {
			Result []any `json:"result"`
		} `json:"data"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return 0 // it is starting
	}
	if answer.Error != "" {
		t.Fatalf("%s: %s", query, answer.Error)
	}
	return len(answer.Data.Result)
}
