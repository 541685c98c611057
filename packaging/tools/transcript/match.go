package main

import (
	"regexp"
	"strings"
)

// anyLines is a line of a page that matches any number of lines.
const anyLines = "..."

// volatile lists the kinds of text that vary between runs, and the word that replaces each. A kind
// comes before the kinds that it contains.
var volatile = []struct {
	kind *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "<sha256>"},
	{regexp.MustCompile(`\bstepctl-[0-9a-f]{32}\b`), "<session>"},
	{regexp.MustCompile(`"[A-Z2-7]{8}-(\d+)"`), "<req-$1>"},
	{regexp.MustCompile(`\b\d{8}T\d{6}-[0-9a-f]{6}\b`), "<run>"},
	{regexp.MustCompile(`\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:?\d{2}| UTC)?`), "<time>"},
	{regexp.MustCompile(`\b\d{4}-\d{2}-\d{2}\b`), "<date>"},
	{regexp.MustCompile(`\b[0-9A-F]{2}(:[0-9A-F]{2}){7,}\b`), "<serial>"},
	{regexp.MustCompile(`\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) (<time>)`), "<time>"},
	{regexp.MustCompile(`\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{2} \d{2}:\d{2}:\d{2}\b`), "<time>"},
	{regexp.MustCompile(`\b\d+(\.\d+)?([a-zµ]* ?\d+(\.\d+)?)* ?(ns|µs|us|ms|min|s|h)\b`), "<duration>"},
	{regexp.MustCompile(`\b(process|pid|PID:?)([ =])\d+\b`), "$1$2<pid>"},
	{regexp.MustCompile(`\[\d+\]`), "[<pid>]"},
	{regexp.MustCompile(`\b(\d{1,3}(\.\d{1,3}){3}):(3[2-9]|[4-6]\d)\d{3}\b`), "$1:<port>"},
	{regexp.MustCompile(`\b\d+(\.\d+)? ?([kKMG]i?B|[KMG]|B|bytes)\b`), "<size>"},
	{regexp.MustCompile(`\b\d+(\.\d+)?( steps/s| ?%)`), "<figure>"},
}

// steady matches numbers that must not vary although they look volatile: the program decides them.
var steady = regexp.MustCompile(`\b(step|steps|code|error_code|position|exit status|exit code|all|verdict|session)(["=: ]+)(\d+)\b|\b(\d+) of (\d+)\b`)

// normal replaces the volatile parts of a line, so that lines of two runs can be compared.
func normal(line string) string {
	line = strings.TrimRight(line, " \t\r")
	line = steady.ReplaceAllStringFunc(line, func(s string) string {
		// Letters match no volatile kind.
		return strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return 'A' + (r - '0')
			}
			return r
		}, s)
	})
	for _, v := range volatile {
		line = v.kind.ReplaceAllString(line, v.as)
	}
	return strings.Join(strings.Fields(line), " ") // the width of columns varies with their values
}

// matches reports whether the output matches the lines of the page.
func matches(shown, output []string) bool {
	if len(shown) == 0 {
		return len(output) == 0
	}
	if strings.TrimSpace(shown[0]) == anyLines {
		for skipped := 0; skipped <= len(output); skipped++ {
			if matches(shown[1:], output[skipped:]) {
				return true
			}
		}
		return false
	}
	return len(output) > 0 && normal(shown[0]) == normal(output[0]) && matches(shown[1:], output[1:])
}
