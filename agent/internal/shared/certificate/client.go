package certificate

import (
	"crypto/tls"
	"errors"
	"io"
)

// A ClientSource names the files of a client and says how they are used.
type ClientSource struct {
	// CA is a PEM file with the authorities of agents; empty: those of the system.
	CA string
	// Certificate and Key are PEM files with the client's own certificate, its intermediates, and
	// its key; both empty for none.
	Certificate, Key string
	// ServerName is the name that the agent's certificate must have; empty: the host that is
	// connected to, which tls.Dialer and tls.Client's caller put in.
	ServerName string
	// KeyLog gets the secrets of each connection in the NSS format, with which others can read what
	// is captured of it; nil for none.
	KeyLog io.Writer
}

// LoadClient reads the files of a client and returns its configuration. The client's certificate is
// the first of tls.Config.Certificates, with its Leaf. The error joins a *FileError for each file
// that is not usable.
func LoadClient(source ClientSource) (*tls.Config, error) {
	config := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{Protocol},
		ServerName:   source.ServerName,
		KeyLogWriter: source.KeyLog,
	}
	r := reader{client: true}
	if source.CA != "" {
		config.RootCAs = newPool(r.authorities("ca", source.CA))
	}
	if source.Certificate != "" || source.Key != "" {
		own, _ := r.pair("cert", source.Certificate, "key", source.Key)
		config.Certificates = []tls.Certificate{own}
		// crypto/tls would send none if the agent names other authorities, and the agent could then
		// only say that there is no certificate.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
	}
	if len(r.problems) > 0 {
		return nil, errors.Join(r.problems...)
	}
	return config, nil
}
