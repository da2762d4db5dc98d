package proxy

import (
	"bufio"
	"io"
	"net"
	"sync"
)

// Protocol returns what reads the messages of one connection.
type Protocol func() messages

// messages reads one connection. Both methods are called at the same time.
type messages interface {
	// request reads a message of the client. answered says that the server answers
	// what it asks for with one reply, in the order of the requests.
	request(r *bufio.Reader) (raw []byte, asks string, answered bool, err error)
	// reply reads a message of the server.
	reply(r *bufio.Reader) (raw []byte, says string, ends extent, err error)
}

// extent is how many requests a message of the server completes.
type extent int

const (
	none extent = iota
	one
	all // that are open
)

// link is a connection with its other half.
type link struct {
	proxy          *Proxy
	client, server net.Conn
	messages       messages

	mu   sync.Mutex
	open []string // what was asked for and is not answered
}

func (l *link) close() {
	_ = l.client.Close() // either may be closed already
	_ = l.server.Close()
}

func (l *link) run() {
	var both sync.WaitGroup
	both.Go(func() { l.pass(l.client, l.server, l.nextRequest) })
	both.Go(func() { l.pass(l.server, l.client, l.nextReply) })
	both.Wait()
}

// pass passes messages on until one is cut or either side ends.
func (l *link) pass(from io.Reader, to io.Writer, next func(*bufio.Reader) ([]byte, []*rule, error)) {
	defer l.close()
	in, out := bufio.NewReader(from), bufio.NewWriter(to)
	for {
		if in.Buffered() == 0 {
			if out.Flush() != nil {
				return
			}
			if _, err := in.Peek(1); err != nil {
				return
			}
			l.proxy.pause()
		}
		raw, rules, err := next(in)
		if err != nil {
			return
		}
		for _, r := range rules {
			if out.Flush() != nil || r.apply() == Cut {
				return
			}
		}
		if _, err := out.Write(raw); err != nil {
			return
		}
	}
}

func (l *link) nextRequest(in *bufio.Reader) ([]byte, []*rule, error) {
	raw, asks, answered, err := l.messages.request(in)
	if answered {
		l.mu.Lock()
		l.open = append(l.open, asks)
		l.mu.Unlock()
	}
	if asks == "" {
		return raw, nil, err
	}
	return raw, l.proxy.matching(Request, asks), err
}

func (l *link) nextReply(in *bufio.Reader) ([]byte, []*rule, error) {
	raw, says, ends, err := l.messages.reply(in)
	asked := ""
	l.mu.Lock()
	switch {
	case ends == all:
		l.open = nil
	case ends == one && len(l.open) > 0:
		asked, l.open = l.open[0], l.open[1:]
	}
	l.mu.Unlock()
	if asked == "" && says == "" {
		return raw, nil, err
	}
	return raw, l.proxy.matching(Reply, asked, says), err
}
