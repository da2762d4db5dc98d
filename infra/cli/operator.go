package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
)

// operatorFlags say who does something and why.
type operatorFlags struct{ who, why string }

func (o *operatorFlags) add(c *cobra.Command, why string) {
	c.Flags().StringVar(&o.why, "why", "", why)
	c.Flags().StringVar(&o.who, "who", whoami(), "who does it")
}

// whoami is the user of this machine, for the record.
func whoami() string {
	name := "unknown"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

// confirm asks before what matches more than one.
func (a *app) confirm(question string) error {
	fmt.Fprintf(a.Err, "%s [y/N] ", question)
	answer, err := bufio.NewReader(a.In).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was done: answer y, or give --yes")
}

func (a *app) writeLine(value any) {
	line, _ := json.Marshal(value) //nolint:errchkjson // strings and numbers
	fmt.Fprintf(a.Out, "%s\n", line)
}

func (a *app) writeJSON(value any) error {
	out := json.NewEncoder(a.Out)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(value)
}

// moment writes a time as tables have it.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

// cell makes text fit for a line of a table: producers may have sent anything.
func cell(text string, limit int) string {
	if text == "" {
		return "-"
	}
	runes := []rune(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, text))
	if len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return string(runes)
}
