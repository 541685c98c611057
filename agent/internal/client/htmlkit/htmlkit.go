// Package htmlkit holds what the HTML pages of stepctl share: languages and common words, colours and basic
// styles, the look of an outcome, and the shapes of charts. It judges nothing and writes no page.
package htmlkit

import (
	"crypto/sha256"
	_ "embed" // for the style sheets
	"encoding/base64"
	"regexp"
	"strings"
)

var (
	//go:embed colours.css
	colours string
	//go:embed base.css
	base string
)

// A Language is a language of pages.
type Language string

// The languages.
const (
	English Language = "en"
	Korean  Language = "ko"
)

// Languages returns the names of all languages.
func Languages() []string { return []string{string(English), string(Korean)} }

// Name returns the name of the language in the language itself.
func (l Language) Name() string {
	if l == Korean {
		return "한국어"
	}
	return "English"
}

// Words returns the common words of the language; those of English if it is unknown.
func (l Language) Words() Words {
	if l == Korean {
		return korean()
	}
	return english()
}

// Colours returns a style sheet that defines the colours as custom properties, dark ones where the reader
// prefers them.
func Colours() string { return colours }

// PairedColours returns the colours as Colours does, but by light-dark(), so that a page can choose between
// them with the property color-scheme.
func PairedColours() string {
	property := regexp.MustCompile(`--(\w+):([^;}]+)`)
	light, dark, _ := strings.Cut(colours, "\n")
	values := map[string]string{}
	for _, found := range property.FindAllStringSubmatch(dark, -1) {
		values[found[1]] = found[2]
	}
	return property.ReplaceAllStringFunc(light, func(pair string) string {
		name, value, _ := strings.Cut(strings.TrimPrefix(pair, "--"), ":")
		return "--" + name + ":light-dark(" + value + "," + values[name] + ")"
	}) + "\n"
}

// Base returns the style sheet of elements and charts that the pages have in common.
func Base() string { return base }

// StyleSource returns the source expression that allows a style sheet in a Content-Security-Policy.
func StyleSource(style string) string {
	sum := sha256.Sum256([]byte(style))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
