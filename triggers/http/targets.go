package gateway

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/millrace/millrace/shared/kafka"
)

// CallURLs are the URLs of functions, by name; * is all others.
type CallURLs map[string]string

// anyFunction stands for the functions that are not named.
const anyFunction = "*"

// UnmarshalText reads function=URL, separated by commas. What it says of a
// mistake does not quote a URL, which may hold a password.
func (c *CallURLs) UnmarshalText(text []byte) error {
	*c = CallURLs{}
	for n, entry := range strings.Split(string(text), ",") {
		name, target, ok := strings.Cut(strings.TrimSpace(entry), "=")
		if !ok {
			return fmt.Errorf("entry %d is not function=URL", n+1)
		}
		(*c)[name] = strings.TrimSuffix(target, "/")
	}
	return nil
}

func (c CallURLs) validate() error {
	var wrong []error
	for name := range c {
		if name != anyFunction && !slices.Contains(kafka.Functions(), name) {
			wrong = append(wrong, fmt.Errorf("CALL_URLS: %q is no function: want %s, or %s", name, functionNames(), anyFunction))
		}
		u, err := url.Parse(strings.ReplaceAll(c[name], "{function}", "f"))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			wrong = append(wrong, fmt.Errorf("CALL_URLS: the URL of %s is no http or https URL", name))
		}
	}
	return errors.Join(wrong...)
}

// of returns the URL for calls to a function; empty: there is none.
func (c CallURLs) of(function string) string {
	target, ok := c[function]
	if !ok {
		target = c[anyFunction]
	}
	if target == "" {
		return ""
	}
	return strings.ReplaceAll(target, "{function}", function) + "/call"
}

func functionNames() string { return strings.Join(kafka.Functions(), ", ") }
