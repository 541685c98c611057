package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// MaxAllow is the number of entries that allow may have.
const MaxAllow = 256

// A network is a word for a fixed list of prefixes.
type network struct {
	word     string
	prefixes []netip.Prefix
}

// networks returns the words that allow may have.
func networks() []network {
	return []network{
		{"loopback", prefixes("127.0.0.0/8", "::1/128")},
		{"private", prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")}, // RFC 1918, RFC 4193
		{"link-local", prefixes("169.254.0.0/16", "fe80::/10")},                            // RFC 3927, RFC 4291
		{"all", prefixes("0.0.0.0/0", "::/0")},
	}
}

func prefixes(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// Allowed returns the prefixes of the source addresses that are served. Entries that Validate refuses
// have none.
func (c Config) Allowed() []netip.Prefix {
	var all []netip.Prefix
	for _, entry := range c.Allow {
		list, _ := readNetwork(entry)
		all = append(all, list...)
	}
	return all
}

// readNetwork returns the prefixes of an entry, or what is wrong with it.
func readNetwork(entry string) (list []netip.Prefix, wrong string) {
	var words []string
	for _, n := range networks() {
		if n.word == entry {
			return n.prefixes, ""
		}
		words = append(words, n.word)
	}
	if prefix, err := netip.ParsePrefix(entry); err == nil {
		switch {
		case prefix.Addr().Is4In6():
			return nil, show(entry) + " is an IPv4 prefix in IPv6 clothes; write it as an IPv4 prefix"
		case prefix != prefix.Masked():
			return nil, fmt.Sprintf("%s has bits set after the first %d; write %s for the network, %s for the address",
				show(entry), prefix.Bits(), prefix.Masked(), prefix.Addr())
		}
		return []netip.Prefix{prefix}, ""
	}
	addr, err := netip.ParseAddr(entry)
	switch {
	case err != nil:
		if hint := didYouMean(entry, words); hint != "" {
			return nil, show(entry) + " is no network" + hint
		}
		return nil, fmt.Sprintf(`%s is no network; write an address, a prefix such as "192.0.2.0/24", or one of %s`,
			show(entry), strings.Join(words, ", "))
	case addr.Zone() != "":
		return nil, show(entry) + " has a zone; write the address without it"
	case addr.Is4In6():
		return nil, show(entry) + " is an IPv4 address in IPv6 clothes; write " + addr.Unmap().String()
	}
	return []netip.Prefix{netip.PrefixFrom(addr, addr.BitLen())}, ""
}
