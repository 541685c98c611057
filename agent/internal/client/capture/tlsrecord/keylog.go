package tlsrecord

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// The labels of a key log that are used; others are ignored, as the format has it.
const (
	labelClient = "CLIENT_TRAFFIC_SECRET_0" // TLS 1.3
	labelServer = "SERVER_TRAFFIC_SECRET_0"
	labelMaster = "CLIENT_RANDOM" // TLS 1.2
)

const (
	// maxKeyLogConns bounds the connections of a key log.
	maxKeyLogConns = 1 << 18
	// maxSecret is the longest secret, in bytes.
	maxSecret = 48
)

// A KeyLog holds the secrets of connections, by the randoms of their clients. It is the content of a
// file in the format of draft-ietf-tls-keylogfile, which crypto/tls, OpenSSL, browsers and others
// write (SSLKEYLOGFILE). It is safe for concurrent use. A nil KeyLog has no secrets.
type KeyLog struct {
	conns map[Random]connSecrets
}

// connSecrets are the secrets of one connection; those that the log lacks are nil.
type connSecrets struct {
	client, server []byte // TLS 1.3
	master         []byte // TLS 1.2
}

// fit reports whether the secrets are those that a suite needs.
func (s connSecrets) fit(of suite) bool {
	if of.isTLS12() {
		return len(s.master) == maxSecret
	}
	size := of.hash().Size()
	return len(s.client) == size && len(s.server) == size
}

// ReadKeyLogFile reads a key log, see ReadKeyLog.
func ReadKeyLogFile(path string) (*KeyLog, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the key log: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	return ReadKeyLog(file, path)
}

// ReadKeyLog reads a key log to its end. Errors name the file and the line. A last line that is not
// complete is ignored: the file may still be written.
func ReadKeyLog(r io.Reader, name string) (*KeyLog, error) {
	log := &KeyLog{conns: map[Random]connSecrets{}}
	lines := bufio.NewScanner(r)
	number := 0
	var wrong error
	for lines.Scan() && wrong == nil {
		number++
		if err := log.add(lines.Text()); err != nil {
			wrong = fmt.Errorf("%s:%d: %w", name, number, err)
			if !lines.Scan() {
				wrong = nil
			}
		}
	}
	switch err := lines.Err(); {
	case wrong != nil:
		return nil, wrong
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("%s:%d: the line is too long for a key log", name, number+1)
	case err != nil:
		return nil, fmt.Errorf("cannot read the key log: %w", err)
	case len(log.conns) == 0:
		return nil, fmt.Errorf("%s: no line has a secret of TLS; a key log has lines such as %s, two hexadecimal numbers after it", name, labelClient)
	}
	return log, nil
}

// add adds the secret of a line.
func (k *KeyLog) add(line string) error {
	label, rest, _ := strings.Cut(strings.TrimRight(line, " \r"), " ")
	if label != labelClient && label != labelServer && label != labelMaster {
		return nil // also comments
	}
	first, second, _ := strings.Cut(rest, " ")
	random, err := hex.DecodeString(first)
	if err != nil || len(random) != randomBytes {
		return fmt.Errorf("after %s there are not %d bytes in hexadecimal", label, randomBytes)
	}
	secret, err := hex.DecodeString(second)
	if err != nil || len(secret) == 0 || len(secret) > maxSecret {
		return fmt.Errorf("the secret of %s is not 1 to %d bytes in hexadecimal", label, maxSecret)
	}
	s, known := k.conns[Random(random)]
	if !known && len(k.conns) == maxKeyLogConns {
		return fmt.Errorf("more than %d connections; give the lines of those in the capture", maxKeyLogConns)
	}
	switch label {
	case labelClient:
		s.client = secret
	case labelServer:
		s.server = secret
	default:
		s.master = secret
	}
	k.conns[Random(random)] = s
	return nil
}

// secrets returns the secrets of a connection.
func (k *KeyLog) secrets(random Random) connSecrets {
	if k == nil {
		return connSecrets{}
	}
	return k.conns[random]
}

// MayBeAgents reports whether a payload, of one packet or of several in order, may belong to a TLS
// connection of interest: one whose secrets are known, or whose client asks for an agent. It is a
// filter for capture.Options.
func (k *KeyLog) MayBeAgents(payload []byte) bool {
	if bytes.Contains(payload, alpn) {
		return true
	}
	if k == nil {
		return false
	}
	random, ok := RandomOf(payload)
	if !ok {
		return false
	}
	_, known := k.conns[random]
	return known
}
