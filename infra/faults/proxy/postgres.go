package proxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
)

// PostgreSQL reads PostgreSQL's protocol, version 3, without TLS: a request is
// the execution of a statement and has its SQL as text, a reply is the
// statement's completion. https://www.postgresql.org/docs/current/protocol-message-formats.html
var PostgreSQL Protocol = func() messages { return &postgres{prepared: map[string]string{}} }

type postgres struct {
	started  bool
	prepared map[string]string // SQL by the name of the statement
	bound    string            // SQL of the portal that is executed next
}

func (p *postgres) request(r *bufio.Reader) (raw []byte, asks string, answered bool, err error) {
	if !p.started {
		p.started = true
		raw, err = frame(r, 0)
		return raw, "", false, err
	}
	if raw, err = frame(r, 1); err != nil {
		return nil, "", false, err
	}
	body := raw[5:]
	switch raw[0] {
	case 'P': // Parse: name, SQL
		name, rest := text(body)
		p.prepared[name], _ = text(rest)
	case 'B': // Bind: portal, name
		_, rest := text(body)
		name, _ := text(rest)
		p.bound = p.prepared[name]
	case 'E': // Execute
		return raw, p.bound, true, nil
	case 'Q': // simple query
		sql, _ := text(body)
		return raw, sql, true, nil
	}
	return raw, "", false, nil
}

func (p *postgres) reply(r *bufio.Reader) (raw []byte, says string, ends extent, err error) {
	if raw, err = frame(r, 1); err != nil {
		return nil, "", none, err
	}
	switch raw[0] {
	case 'C': // CommandComplete
		says, _ = text(raw[5:])
		return raw, says, one, nil
	case 'I', 's', 'E': // EmptyQueryResponse, PortalSuspended, ErrorResponse
		return raw, "", one, nil
	case 'Z': // ReadyForQuery: what followed an error was skipped
		return raw, "", all, nil
	}
	return raw, "", none, nil
}

// frame reads a message: its type, but for the first, and its length, which
// counts itself.
func frame(r *bufio.Reader, kind int) ([]byte, error) {
	head, err := r.Peek(kind + 4)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, kind+int(binary.BigEndian.Uint32(head[kind:])))
	_, err = io.ReadFull(r, raw)
	return raw, err
}

func text(body []byte) (string, []byte) {
	word, rest, _ := bytes.Cut(body, []byte{0})
	return string(word), rest
}
