package natsstore

import (
	"net"
	"strings"
	"sync"
	"testing"
)

// A link is the network between one agent and the servers. While it is cut, it holds back what either
// side sends, and delivers it afterwards.
type link struct {
	mu   sync.Mutex
	open chan struct{} // closed while the link is not cut
}

// newLink returns a link to the servers, and the URLs for the agent.
func newLink(t *testing.T, all *servers) (*link, []string) {
	t.Helper()
	l := &link{open: make(chan struct{})}
	close(l.open)
	var urls []string
	for _, node := range all.nodes {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		t.Cleanup(func() { _ = listener.Close() })
		urls = append(urls, "nats://"+listener.Addr().String())
		go l.accept(listener, strings.TrimPrefix(node.URL, "nats://"))
	}
	return l, urls
}

func (l *link) accept(listener net.Listener, to string) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", to)
		if err != nil {
			_ = client.Close()
			continue
		}
		go l.copy(client, server)
		go l.copy(server, client)
	}
}

// copy delivers what one side sends, until it closes.
func (l *link) copy(to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	for buffer := make([]byte, 64<<10); ; {
		n, err := from.Read(buffer)
		l.mu.Lock()
		open := l.open
		l.mu.Unlock()
		<-open
		if _, failed := to.Write(buffer[:n]); failed != nil || err != nil {
			return
		}
	}
}

// cut cuts the link.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = make(chan struct{})
}

// mend ends a cut.
func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.open)
}
