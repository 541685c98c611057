package config

import (
	"fmt"
	"net/url"
	"os"
	"strings"
)

// checkServers checks addresses of NATS servers with commas between them, which may be none. Its
// messages show no password.
func checkServers(addresses string) string {
	if addresses == "" {
		return ""
	}
	for address := range strings.SplitSeq(addresses, ",") {
		address = strings.TrimSpace(address)
		if at, err := url.Parse(address); err == nil && at.User != nil {
			return "the address has a user in it; write the user under the key nats_user, and a reference to the password under nats_password"
		}
		if wrong := checkServer(address); wrong != "" {
			return wrong
		}
	}
	return ""
}

// NATSServers returns the addresses of the NATS servers; none without NATS.
func (c Client) NATSServers() (addresses []string) {
	for address := range strings.SplitSeq(c.NATSURL, ",") {
		if address = strings.TrimSpace(address); address != "" {
			addresses = append(addresses, address)
		}
	}
	return addresses
}

// NATSSecret returns the text that nats_password refers to; empty for none.
func (c Client) NATSSecret() (string, error) {
	name, isVariable := strings.CutPrefix(c.NATSPassword, referenceStart+envReference)
	if name = strings.TrimSuffix(name, "}"); isVariable && os.Getenv(name) == "" {
		return "", fmt.Errorf("nats_password: there is no variable %s, or an empty one; set it", show(name))
	}
	r := &resolver{lookup: os.LookupEnv, texts: map[string]string{}}
	text, err := expand(c.NATSPassword, r.get)
	if err != nil {
		return "", fmt.Errorf("nats_password: %w", err)
	}
	return text, nil
}
