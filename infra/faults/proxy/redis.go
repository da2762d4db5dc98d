package proxy

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
	"strings"
)

// Redis reads Redis' protocol, RESP2 or RESP3: a request is a command and has
// its words as text. https://redis.io/docs/latest/develop/reference/protocol-spec/
var Redis Protocol = func() messages { return resp{} }

type resp struct{}

func (resp) request(r *bufio.Reader) (raw []byte, asks string, answered bool, err error) {
	raw, err = value(r, nil)
	return raw, string(raw), true, err
}

func (resp) reply(r *bufio.Reader) (raw []byte, says string, ends extent, err error) {
	raw, err = value(r, nil)
	if err == nil && raw[0] == '>' { // pushed, which nobody asked for
		return raw, "", none, nil
	}
	return raw, "", one, err
}

// value reads a value with all that is in it, and appends it to raw.
func value(r *bufio.Reader, raw []byte) ([]byte, error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	raw = append(raw, line...)
	n, _ := strconv.Atoi(string(bytes.TrimSpace(line[1:]))) // or a simple value
	switch {
	case n < 0: // no value
		return raw, nil
	case strings.IndexByte("$=!", line[0]) >= 0: // bytes
		data := make([]byte, n+len("\r\n"))
		_, err := io.ReadFull(r, data)
		return append(raw, data...), err
	case strings.IndexByte("%|", line[0]) >= 0: // pairs
		n *= 2
	case strings.IndexByte("*~>", line[0]) < 0:
		return raw, nil
	}
	for range n {
		if raw, err = value(r, raw); err != nil {
			return nil, err
		}
	}
	return raw, nil
}
