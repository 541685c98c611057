package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// onDebian holds the licences whose text is in /usr/share/common-licenses on Debian.
var onDebian = map[string]bool{"Apache-2.0": true, "MPL-2.0": true}

// write writes the stanzas of the works, that of the command's module first, and then the texts of
// the licences that works share. If common is set, it refers to Debian's copies of these.
func write(out io.Writer, works []work, common bool) error {
	w := bufio.NewWriter(out)
	printf := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) } // Flush returns the error
	printf("Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n")
	printf("Upstream-Name: stepagent\n")
	printf("Source: https://github.com/stepagent/stepagent\n")
	printf("Comment:\n The stanzas below the first are those of the modules that are linked into the command.\n")
	shared := map[string]string{}
	var order []string
	for _, own := range []bool{true, false} {
		for _, work := range works {
			if work.Main != own {
				continue
			}
			printf("\nFiles: %s\nCopyright: %s\n", pattern(work), strings.Join(work.holders, "\n "))
			printf("License: %s\n", names(work))
			for _, l := range work.licences {
				if !onDebian[l.name] {
					text := l.text
					if common {
						text = refer(text)
					}
					printf("%s", field(text))
				} else if shared[l.name] == "" {
					shared[l.name] = l.text
					order = append(order, l.name)
				}
			}
			for _, text := range work.notices {
				printf("Comment:\n The notice of %s:\n .\n%s", strings.TrimSpace(work.Path+" "+work.Version), field(text))
			}
		}
	}
	for _, name := range order {
		printf("\nLicense: %s\n", name)
		if common {
			printf(" On Debian systems, the text of this licence is in\n /usr/share/common-licenses/%s.\n", name)
		} else {
			printf("%s", field(shared[name]))
		}
	}
	return w.Flush()
}

// refer refers to Debian's copies instead of the licences that a file has besides others.
func refer(text string) string {
	var b strings.Builder
	from := 0
	for _, match := range licensecheck.Scan([]byte(text)).Match {
		if !onDebian[match.ID] || match.IsURL {
			continue
		}
		fmt.Fprintf(&b, "%s\n(On Debian systems, the text of %s is in\n/usr/share/common-licenses/%s.)\n", text[from:match.Start], match.ID, match.ID)
		from = match.End
	}
	return b.String() + text[from:]
}

// pattern returns the files of a work: all of the source, or those of a module.
func pattern(w work) string {
	switch {
	case w.Main:
		return "*"
	case w.Version == "":
		return w.Path + "/*"
	default:
		return w.Path + "@" + w.Version + "/*"
	}
}

func names(w work) string {
	var all []string
	for _, l := range w.licences {
		if !slices.Contains(all, l.name) {
			all = append(all, l.name)
		}
	}
	return strings.Join(all, " and ")
}

// field formats a text as continuation lines of a field: each after a space, an empty one as a dot.
func field(text string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))) {
		line = strings.TrimRight(strings.ReplaceAll(line, "\t", "    "), " \n\f")
		if line == "" {
			line = "."
		}
		b.WriteString(" " + line + "\n")
	}
	return b.String()
}
