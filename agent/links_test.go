package agent_test

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// TestLinks: the relative links and the anchors of all Markdown pages lead to something.
func TestLinks(t *testing.T) {
	links := 0
	for _, page := range markdownPages(t) {
		for _, link := range linksOf(readPage(t, page)) {
			target, err := url.Parse(link)
			if err != nil || target.Scheme != "" {
				continue // an address, or no link
			}
			links++
			file := page
			if target.Path != "" {
				file = filepath.Join(filepath.Dir(page), filepath.FromSlash(target.Path))
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: the link %s: %v", page, link, err)
			} else if target.Fragment != "" && !slices.Contains(anchorsOf(readPage(t, file)), target.Fragment) {
				t.Errorf("%s: the link %s: %s has no such heading", page, link, file)
			}
		}
	}
	if links < 100 {
		t.Errorf("%d links were found; the pages have more", links)
	}
}

func markdownPages(t *testing.T) (pages []string) {
	t.Helper()
	root := ".."
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && file != root && (strings.HasPrefix(entry.Name(), ".") || slices.Contains([]string{"bin", "dist", "generated", "runs"}, entry.Name())):
			return fs.SkipDir
		case strings.HasSuffix(file, ".md"):
			pages = append(pages, file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

var (
	codeBlock  = regexp.MustCompile("(?ms)^```.*?^```")
	codeSpan   = regexp.MustCompile("`[^`\n]*`")
	inlineLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading    = regexp.MustCompile(`(?m)^#+ +(.+)$`)
)

// readPage returns a page without its blocks of code.
func readPage(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return codeBlock.ReplaceAllString(string(text), "")
}

func linksOf(page string) (links []string) {
	for _, match := range inlineLink.FindAllStringSubmatch(codeSpan.ReplaceAllString(page, "code"), -1) {
		links = append(links, match[1])
	}
	return links
}

// anchorsOf returns the anchors of a page's headings as GitHub forms them.
func anchorsOf(page string) (anchors []string) {
	for _, match := range heading.FindAllStringSubmatch(page, -1) {
		anchors = append(anchors, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, match[1]))
	}
	return anchors
}
