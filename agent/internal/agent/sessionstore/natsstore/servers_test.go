package natsstore

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
)

// enough is how long tests wait for what comes at once.
const enough = time.Minute

func TestMain(m *testing.M) {
	natstest.Main()
	soaktest.Parallel(6)
	os.Exit(m.Run())
}

const testBucket = "sessions"

// servers are those of one cluster.
type servers struct {
	t     testing.TB
	nodes []*natstest.Node
}

// startServers starts n servers, each a process, and creates the bucket with a replica on each. A
// cluster that has just been started needs some time before it can.
func startServers(t testing.TB, n int, options ...natstest.Option) *servers {
	t.Helper()
	all := &servers{t, natstest.Cluster(t, n, append(options, natstest.Processes())...)}
	conn := connect(t, all.urls())
	defer conn.Close()
	eventually(t, "the bucket is created", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return Create(ctx, conn.JS, CreateOptions{Bucket: testBucket, Replicas: n}) == nil
	})
	return all
}

func (all *servers) urls() []string { return natstest.URLs(all.nodes) }

// leader returns the server that leads the stream; nil while there is none.
func (all *servers) leader(conn *natsconn.Conn) *natstest.Node {
	if len(all.nodes) == 1 {
		return all.nodes[0]
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	stream, err := conn.JS.Stream(ctx, streamPrefix+testBucket)
	if err != nil {
		return nil
	}
	for i, n := range all.nodes {
		if c := stream.CachedInfo().Cluster; c != nil && c.Leader == fmt.Sprintf("node-%d", i+1) {
			return n
		}
	}
	return nil
}

func connect(t testing.TB, urls []string) *natsconn.Conn {
	t.Helper()
	conn, err := natsconn.Connect(natsconn.Options{URLs: urls, Name: "test"})
	must(t, err)
	return conn
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until something is so.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(enough); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in %v: %s", enough, what)
		}
	}
}
