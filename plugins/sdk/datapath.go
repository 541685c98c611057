package sdk

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
)

const (
	// TokenBytes is the length of the token with which the agent makes itself known on a data
	// path.
	TokenBytes = 32
	// connectTime is how long the agent may take to connect to a data path that it asked for.
	connectTime = 5 * time.Second
	// socketDirVariable names the directory for sockets, see validator.proto.
	socketDirVariable = "PLUGIN_UNIX_SOCKET_DIR"
)

// OpenDataPath implements the contract.
func (s *server) OpenDataPath(context.Context, *validatorv1.OpenDataPathRequest) (*validatorv1.OpenDataPathResponse, error) {
	s.redirectOutput()
	instances := s.instances.Load()
	dir := os.Getenv(socketDirVariable)
	switch {
	case instances == nil:
		return nil, status.Error(codes.FailedPrecondition, "not configured yet")
	case dir == "" || !canKnowPeers:
		return nil, status.Error(codes.Unimplemented, "no data path can be made here")
	case !s.dataPath.CompareAndSwap(false, true):
		return nil, status.Error(codes.FailedPrecondition, "there is a data path already")
	}
	token := make([]byte, TokenBytes)
	_, _ = rand.Read(token) // never fails, crypto/rand
	// Shorter than the name of the first socket there, so that the path is not too long.
	path := filepath.Join(dir, fmt.Sprintf("data%x", token[:4]))
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	// The token of the response must not be that of the socket's name.
	_, _ = rand.Read(token)
	go func() {
		if err := s.serveDataPath(listener, token, *instances); err != nil && s.stderr != nil {
			// The agent sees the end of the connection, and its people the cause.
			_, _ = fmt.Fprintf(s.stderr, "data path: %v\n", err)
		}
	}()
	return &validatorv1.OpenDataPathResponse{Socket: path, Token: token}, nil
}

// serveDataPath waits for the agent, alone, and judges what it sends.
func (s *server) serveDataPath(listener *net.UnixListener, token []byte, instances []instance) error {
	accepted, err := acceptAgent(listener, token)
	if closeErr := listener.Close(); err == nil { // removes the socket
		err = closeErr
	}
	if err != nil {
		return err
	}
	conn, err := newBlockingConn(accepted)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // what was written has been taken or is of no use
	err = newPort(conn, instances).run()
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// acceptAgent returns the first connection that belongs to this user and knows the token.
func acceptAgent(listener *net.UnixListener, token []byte) (*net.UnixConn, error) {
	deadline := time.Now().Add(connectTime)
	if err := listener.SetDeadline(deadline); err != nil {
		return nil, err
	}
	for {
		conn, err := listener.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if err = admit(conn, token, deadline); err == nil {
			return conn, nil
		}
		_ = conn.Close() // somebody else's
	}
}

func admit(conn *net.UnixConn, token []byte, deadline time.Time) error {
	if err := CheckPeer(conn); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(deadline); err != nil {
		return err
	}
	got := make([]byte, len(token))
	if _, err := io.ReadFull(conn, got); err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(got, token) != 1 {
		return errors.New("the token is wrong")
	}
	return conn.SetReadDeadline(time.Time{})
}
