package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// LogMark is where a log ended at a moment.
type LogMark struct {
	file string
	from int64
}

// MarkLog marks the end of a log before a process is started that appends to
// it; a log that there is not yet is empty.
func MarkLog(file string) LogMark {
	m := LogMark{file: file}
	if info, err := os.Stat(file); err == nil {
		m.from = info.Size()
	}
	return m
}

// Tail is the end of what was logged since, for an error message.
func (m LogMark) Tail() string {
	text, err := m.read()
	switch {
	case m.file == "":
		return "what it logged was not kept"
	case err != nil:
		return err.Error()
	case text == "":
		return "it logged nothing (" + m.file + ")"
	default:
		return fmt.Sprintf("%s ends with:\n%s", m.file, text)
	}
}

// enough is how many bytes of a log tell what went wrong.
const enough = 1200

func (m LogMark) read() (string, error) {
	f, err := os.Open(m.file)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	from := m.from
	if info.Size() < from { // a large log was set aside, and this is a new one
		from = 0
	}
	cut := info.Size()-from > enough
	if cut {
		from = info.Size() - enough
	}
	text, err := io.ReadAll(io.NewSectionReader(f, from, enough))
	if _, rest, ok := strings.Cut(string(text), "\n"); cut && ok {
		text = []byte(rest) // what is left of a line tells little
	}
	return strings.TrimSpace(string(text)), err
}
