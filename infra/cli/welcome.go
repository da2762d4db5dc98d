package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/millrace/millrace/infra/platform"
)

// welcome says what runs and what to do with it.
func (a *app) welcome(at platform.Addresses, f platform.Folders, took time.Duration) {
	for _, p := range at.Processes {
		fmt.Fprintf(a.Out, "  %-20s %s\n", p.Name, p.URL)
	}
	fmt.Fprintf(a.Out, `
Millrace is up after %.1f s. Data and logs are in %s.

Send a first event, from a second terminal:

  %s

Or by HTTP, and hear at once what was decided:

  %s

See its effect:

  %s status --entity acme/trade/account-1
  psql '%s' -c 'SELECT * FROM millrace.audit'

Ctrl-C drains and stops everything.
`, took.Seconds(), shorten(f.Data), firstEvent(a.command()), firstCall(at), a.command(), at.DatabaseURL)
}

// firstEvent is a command that sends a trade.
func firstEvent(command string) string {
	return command + ` send --wait --type trade.executed.v1 --tenant acme --subject account-1 \
    --data '{"instrument":"ACME","side":"buy","quantity":"100","price":"12.50","currency":"EUR"}'`
}

// firstCall is a command that makes a trade by HTTP.
func firstCall(at platform.Addresses) string {
	for _, p := range at.Processes {
		if p.Kind == platform.KindGateway {
			return `curl '` + p.URL + `/v1/calls/trade.executed.v1?tenant=acme&subject=account-1' \
    --json '{"instrument":"ACME","side":"sell","quantity":"40","price":"13.00","currency":"EUR"}'`
		}
	}
	return ""
}

// command is how this program was called, in the shortest way to call it again
// from here, on the same data.
func (a *app) command() string {
	program, err := os.Executable()
	if err != nil {
		program = "millrace"
	}
	command := quote(shorten(program))
	if a.data != "" {
		command += " --dir " + quote(a.data)
	}
	return command
}

// quote makes text one word of a shell.
func quote(text string) string {
	if regexp.MustCompile(`^[\w./:@%+=,-]+$`).MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// shorten names a file relative to the working directory if it is below it.
func shorten(file string) string {
	here, err := os.Getwd()
	if err != nil {
		return file
	}
	relative, err := filepath.Rel(here, file)
	if err != nil || strings.HasPrefix(relative, "..") {
		return file
	}
	return relative
}
