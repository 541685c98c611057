// Package certificate reads X.509 certificates, their keys and lists of revoked certificates, makes
// configurations for crypto/tls of them, and says in words what is wrong with a certificate or with
// a handshake.
//
// A Set holds the files of an agent. It is read whole or not at all and never changes, so that a
// reload replaces one Set by another. Errors name the file, what is wrong with it and what to do;
// refusals name the certificate's subject, issuer, serial number and dates, and the time that this
// machine's clock says, as clocks are often the cause.
package certificate

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"
)

// Protocol is the name by which both sides agree on the protocol (ALPN, RFC 7301). Clients that
// name none are served too.
const Protocol = "stepagent/1"

// A Source names the files of an agent and says how they are used.
type Source struct {
	// Certificate is a PEM file with the agent's certificate and its intermediates, Key one with the
	// key of that certificate.
	Certificate, Key string
	// ClientCA is a PEM file with the authorities of clients. With it each client needs a
	// certificate; empty: no client is asked for one.
	ClientCA string
	// CRL is a file with lists of revoked certificates, one in DER or any number in PEM, each signed
	// by an authority in ClientCA; empty for none.
	CRL string
	// RefuseExpiredCRL refuses the clients of an authority whose list should have been replaced.
	RefuseExpiredCRL bool
	// MinVersion is tls.VersionTLS12 or tls.VersionTLS13; zero is the latter.
	MinVersion uint16
	// Identity are the names that identify a client: "uri", "dns" and "cn", in the order in which
	// they are tried; empty is all three in this order.
	Identity []string
	// Floor is a time that is surely past, see Set.Now; zero for none.
	Floor time.Time
}

// A Set is what the files of a Source held when they were read. It does not change and is safe for
// concurrent use.
type Set struct {
	source    Source
	own       tls.Certificate // its Leaf is set
	clientCAs []*x509.Certificate
	pool      *x509.CertPool // of clientCAs; nil if clients need no certificate
	lists     []*revocationList
	// floor is the latest of the times that are surely past.
	floor time.Time
	// noted are warnings that were found while the files were read.
	noted   []string
	keyMode fs.FileMode
}

// Load reads all files of a source. Its error joins a *FileError for each file that is not usable.
func Load(source Source) (*Set, error) {
	source.MinVersion = cmp.Or(source.MinVersion, tls.VersionTLS13)
	if len(source.Identity) == 0 {
		source.Identity = []string{"uri", "dns", "cn"}
	}
	for _, kind := range source.Identity {
		if identityNames[kind] == nil {
			return nil, fmt.Errorf("unknown kind of identity %q; use uri, dns or cn", kind)
		}
	}
	s := &Set{source: source}
	var r reader
	s.own, s.noted = r.pair("certificate", source.Certificate, "key", source.Key)
	s.keyMode = r.keyMode
	if source.ClientCA != "" {
		s.clientCAs = r.authorities("client_ca", source.ClientCA)
		s.pool = newPool(s.clientCAs)
	}
	if source.CRL != "" {
		s.lists = r.revocationLists("crl", source.CRL, s.clientCAs)
	}
	if len(r.problems) > 0 {
		return nil, errors.Join(r.problems...)
	}
	s.floor = latest(source.Floor, s.own.Leaf.NotBefore)
	for _, list := range s.lists {
		s.floor = latest(s.floor, list.ThisUpdate)
	}
	return s, nil
}

// ServerConfig returns a new configuration for connections of clients: all of it is in force, so it
// can be what tls.Config.GetConfigForClient returns.
func (s *Set) ServerConfig() *tls.Config {
	config := &tls.Config{
		MinVersion:       s.source.MinVersion,
		NextProtos:       []string{Protocol},
		Certificates:     []tls.Certificate{s.own},
		VerifyConnection: s.Verify, // also at a resumption, unlike VerifyPeerCertificate
		Time:             s.Now,
	}
	if s.pool != nil {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, s.pool
	}
	return config
}

// Now returns the time by which certificates are judged: the machine's clock, but no earlier than
// times that are surely past, which are Source.Floor, the beginning of the agent's own certificate
// and the issue of its lists of revoked certificates. A board without a battery for its clock boots
// in 1970, when no certificate is valid.
func (s *Set) Now() time.Time { return latest(time.Now(), s.floor) }

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Files returns the absolute paths of the files, to watch them for changes.
func (s *Set) Files() (files []string) {
	for _, file := range []string{s.source.Certificate, s.source.Key, s.source.ClientCA, s.source.CRL} {
		path, err := filepath.Abs(file)
		if file != "" && err == nil && !slices.Contains(files, path) {
			files = append(files, path)
		}
	}
	return files
}

func newPool(certs []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, cert := range certs {
		pool.AddCert(cert)
	}
	return pool
}
