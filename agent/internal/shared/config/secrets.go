package config

import (
	"cmp"
	"index/suffixarray"
	"slices"
	"strings"
)

const (
	// minSecretBytes is the length of the shortest text that is hidden: a shorter one would take
	// words apart, and is no secret.
	minSecretBytes = 4
	// secretWindow is the length of the shortest part of a secret that is hidden as the secret is: a
	// plugin, or a limit on the way, may cut it.
	secretWindow = 16
)

// Secrets are texts that must not be seen. It is safe for concurrent use.
type Secrets struct {
	short []string           // up to secretWindow bytes, hidden as a whole
	long  *suffixarray.Index // of all others; nil for none
}

// newSecrets returns the secrets of the given texts; nil for none.
func newSecrets(texts []string) *Secrets {
	var s Secrets
	var long []byte
	for _, text := range texts {
		switch {
		case len(text) < minSecretBytes:
		case len(text) <= secretWindow:
			s.short = append(s.short, text)
		default:
			long = append(append(long, text...), 0) // not to find what is of two
		}
	}
	if len(long) > 0 {
		s.long = suffixarray.New(long)
	}
	if s.long == nil && s.short == nil {
		return nil
	}
	// Longer ones first: a short one may be part of another.
	slices.SortFunc(s.short, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return &s
}

// Hide returns the text with all secrets in it replaced, and also parts of long ones. A nil Secrets
// returns the text itself.
func (s *Secrets) Hide(text string) string {
	if s == nil {
		return text
	}
	hidden := make([]bool, len(text))
	any := false
	hide := func(at, n int) {
		any = true
		for i := range n {
			hidden[at+i] = true
		}
	}
	for _, secret := range s.short {
		for at := 0; ; {
			i := strings.Index(text[at:], secret)
			if i < 0 {
				break
			}
			hide(at+i, len(secret))
			at += i + 1
		}
	}
	if s.long != nil {
		for i := range max(0, len(text)-secretWindow+1) {
			if len(s.long.Lookup([]byte(text[i:i+secretWindow]), 1)) > 0 {
				hide(i, secretWindow)
			}
		}
	}
	if !any {
		return text
	}
	var out strings.Builder
	for i := range len(text) {
		switch {
		case !hidden[i]:
			out.WriteByte(text[i])
		case i == 0 || !hidden[i-1]:
			out.WriteString(leftOut)
		}
	}
	return out.String()
}
