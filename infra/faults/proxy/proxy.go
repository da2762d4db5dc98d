package proxy

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// Proxy listens on 127.0.0.1 and passes connections on to a server.
type Proxy struct {
	listener net.Listener
	protocol Protocol

	mu     sync.Mutex
	target string
	links  map[*link]bool
	rules  []*rule
	held   []*Moment
	delay  time.Duration
	down   bool
}

// Start starts a proxy before the server at target, host:port.
func Start(target string, protocol Protocol) (*Proxy, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting a proxy: %w", err)
	}
	p := &Proxy{listener: listener, protocol: protocol, target: target, links: map[*link]bool{}}
	go p.accept()
	return p, nil
}

// Address is where it listens, host:port.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Redirect sends new connections to another server, and cuts those there are.
func (p *Proxy) Redirect(target string) {
	p.mu.Lock()
	p.target = target
	p.mu.Unlock()
	p.Cut()
}

// Cut breaks off all connections. New ones work.
func (p *Proxy) Cut() {
	for _, l := range p.all() {
		l.close()
	}
}

// SetDown says whether the server cannot be reached: connections are broken off,
// the present ones and new ones.
func (p *Proxy) SetDown(down bool) {
	p.mu.Lock()
	p.down = down
	p.mu.Unlock()
	if down {
		p.Cut()
	}
}

// SetDelay delays what passes, in both directions.
func (p *Proxy) SetDelay(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = delay
}

// Close ends it, with all connections.
func (p *Proxy) Close() {
	_ = p.listener.Close() // it stops accepting either way
	p.SetDown(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.held {
		m.Cut()
	}
}

func (p *Proxy) all() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	links := make([]*link, 0, len(p.links))
	for l := range p.links {
		links = append(links, l)
	}
	return links
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.serve(client)
	}
}

func (p *Proxy) serve(client net.Conn) {
	p.mu.Lock()
	target, down := p.target, p.down
	p.mu.Unlock()
	var server net.Conn
	var err error
	if !down {
		server, err = new(net.Dialer).DialContext(context.Background(), "tcp", target)
	}
	if down || err != nil {
		_ = client.Close() // as the server is gone, so is the connection
		return
	}
	l := &link{proxy: p, client: client, server: server, messages: p.protocol()}
	p.mu.Lock()
	p.links[l] = true
	down = p.down || p.target != target
	p.mu.Unlock()
	if down { // meanwhile
		l.close()
	}
	l.run()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// pause is what a slow network takes for a message: it waits for nothing else.
func (p *Proxy) pause() {
	p.mu.Lock()
	delay := p.delay
	p.mu.Unlock()
	if delay > 0 {
		time.Sleep(delay)
	}
}

// matching returns the rules for a message.
func (p *Proxy) matching(when Point, texts ...string) []*rule {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []*rule
	for _, r := range p.rules {
		if r.when == when && slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, r.text) }) {
			found = append(found, r)
		}
	}
	return found
}
