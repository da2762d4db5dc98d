package gateway

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"testing"
)

// wire is a connection that brings bytes, a few at a time.
type wire struct {
	net.Conn

	bytes []byte
	step  int
}

func (w *wire) Read(b []byte) (int, error) {
	n := copy(b[:min(len(b), w.step)], w.bytes)
	w.bytes = w.bytes[n:]
	if n == 0 {
		return 0, net.ErrClosed
	}
	return n, nil
}

// A request in chunks is refused if its header, as it came, has a Content-Length
// too, and not if that is nowhere in it. What it has is told by the parser that
// net/http uses, before net/http drops it.
func FuzzFraming(f *testing.F) {
	const chunked = "POST /v1/events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
	f.Add([]byte(chunked+"Content-Length: 5\r\n\r\n0\r\n\r\n"), uint8(1))
	f.Add([]byte(chunked+"\r\n0\r\nContent-Length: 5\r\n\r\n"), uint8(7))
	f.Add([]byte(chunked+"content-length : 5\n\n0\n\n"), uint8(255))
	f.Add([]byte(chunked+"Content-Length:\r\n \t5\r\n\r\n"), uint8(50))
	f.Add([]byte("POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"), uint8(9))
	f.Fuzz(func(t *testing.T, sent []byte, step uint8) {
		conn := &headConn{Conn: &wire{bytes: sent, step: 1 + int(step)}, most: 1 << 20}
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil || r.Proto != "HTTP/1.1" {
			return
		}
		head := textproto.NewReader(bufio.NewReader(bytes.NewReader(sent)))
		if _, err := head.ReadLine(); err != nil {
			return
		}
		header, err := head.ReadMIMEHeader()
		if err != nil {
			t.Fatalf("net/http reads what its parser does not: %v", err)
		}
		ctx := context.WithValue(t.Context(), headKey{}, conn)
		err = checkFraming(httptest.NewRecorder(), r.WithContext(ctx))
		chunks := len(r.TransferEncoding) > 0
		if chunks && header["Content-Length"] != nil && err == nil {
			t.Fatal("it has both, and is taken")
		}
		if err != nil && (!chunks || !bytes.Contains(bytes.ToLower(sent), []byte("content-length"))) {
			t.Fatal(err)
		}
	})
}
