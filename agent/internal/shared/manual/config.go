package manual

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cpuguy83/go-md2man/v2/md2man"
)

// A ConfigPage is the page of a config file.
type ConfigPage struct {
	Name  string // of the file, such as stepagent.toml
	Short string // what it is, in a line
	Intro string // what the description begins with, in Markdown
	// Sample is a file that has every key with its default, each below a comment that
	// explains it. An example in it is a line that is commented out with no space after the
	// #. Its first paragraph speaks of the sample itself and stays out of the page.
	Sample  string
	SeeAlso []string // such as stepagent(1)
}

// WriteConfig writes man5/NAME.5 below dir.
func WriteConfig(c ConfigPage, dir string, edition Edition) error {
	pages, err := folder(dir, "man5")
	if err != nil {
		return err
	}
	var page strings.Builder
	fmt.Fprintf(&page, "%% %q %q %q %q %q\n", strings.ToUpper(c.Name), "5",
		edition.Date.Format("Jan 2006"), "stepagent "+edition.Version, "stepagent manual")
	fmt.Fprintf(&page, "# NAME\n%s \\- %s\n\n# DESCRIPTION\n%s\n\n", c.Name, c.Short, c.Intro)
	_, sample, _ := strings.Cut(c.Sample, "\n#\n")
	for _, block := range blocks(sample) {
		block.write(&page)
	}
	fmt.Fprintf(&page, "# SEE ALSO\n**%s**\n", strings.Join(c.SeeAlso, "**, **"))
	return os.WriteFile(filepath.Join(pages, c.Name+".5"), md2man.Render([]byte(page.String())), 0o644)
}

// A block is a part of the sample between empty lines or the next comment: what a comment
// says, and of what.
type block struct {
	text     []string // of the comment
	examples []string // lines of the file, commented out
	tables   []string // the headings [TABLE] and [[TABLE]]
	keys     []string // KEY = DEFAULT
}

// blocks cuts the sample.
func blocks(sample string) []block {
	var all []block
	var now block
	flush := func() {
		if now.text != nil || now.examples != nil || now.tables != nil || now.keys != nil {
			all = append(all, now)
		}
		now = block{}
	}
	for line := range strings.Lines(sample) {
		line = strings.TrimSpace(line)
		comment, isComment := strings.CutPrefix(line, "#")
		prose, isProse := strings.CutPrefix(comment, " ")
		switch {
		case line == "":
			flush()
		case isComment && (isProse || comment == ""):
			if now.keys != nil || now.tables != nil || now.examples != nil {
				flush()
			}
			now.text = append(now.text, strings.TrimSpace(prose))
		case isComment:
			now.examples = append(now.examples, comment)
		case strings.HasPrefix(line, "["):
			now.tables = append(now.tables, line)
		default:
			now.keys = append(now.keys, line)
		}
	}
	flush()
	return all
}

// write writes the block in Markdown: a heading for a table, its keys as terms of a list.
func (b block) write(page *strings.Builder) {
	for _, table := range b.tables {
		fmt.Fprintf(page, "# %s\n", escape(table))
	}
	text := escape(strings.Join(b.text, "\n"))
	switch {
	case len(b.keys) > 0 && len(b.tables) == 0:
		terms := make([]string, 0, len(b.keys))
		for _, key := range b.keys {
			name, value, _ := strings.Cut(key, " = ")
			terms = append(terms, fmt.Sprintf("**%s** = %s", escape(name), escape(value)))
		}
		fmt.Fprintf(page, "%s\n: %s\n\n", strings.Join(terms, ", "), strings.ReplaceAll(text, "\n", " "))
	default:
		fmt.Fprintf(page, "%s\n\n", text)
		for _, key := range b.keys {
			fmt.Fprintf(page, "    %s\n", key)
		}
		page.WriteString("\n")
	}
	if len(b.examples) > 0 {
		fmt.Fprintf(page, "```\n%s\n```\n\n", strings.Join(b.examples, "\n"))
	}
}

// escape escapes text for Markdown.
func escape(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `_`, `\_`, "`", "\\`", `<`, `\<`, `>`, `\>`,
		`[`, `\[`, `]`, `\]`, `|`, `\|`, `#`, `\#`).Replace(text)
}
