package main

import (
	"bytes"
	"fmt"
	"html"
	"strings"
)

// A canvas is an SVG drawing that grows from top to bottom of its source. Its colours follow the
// reader's light or dark scheme; it has a background of its own, so that either is readable
// on any page.
type canvas struct{ bytes.Buffer }

// style has a line for the light scheme and one for the dark scheme.
const style = `
svg{--page:#fff;--panel:#f3f6fa;--box:#fff;--file:#fff8e1;--line:#5b6b7f;--text:#16202c;--soft:#4a586a;--accent:#0b62b8}
@media(prefers-color-scheme:dark){svg{--page:#12181f;--panel:#1b242e;--box:#24303c;--file:#3a3423;--line:#93a4b8;--text:#eef3f8;--soft:#b9c6d4;--accent:#7cbcff}}
text{font-family:"Helvetica Neue",Arial,"DejaVu Sans",sans-serif;font-size:13px;fill:var(--soft)}
.title{font-size:15px;font-weight:bold;fill:var(--text)}
.page{fill:var(--page)} .panel{fill:var(--panel);stroke:var(--line);stroke-dasharray:5 4}
.box{fill:var(--box);stroke:var(--accent);stroke-width:1.5} .file{fill:var(--file);stroke:var(--line)}
.arrow{fill:none;stroke:var(--line);stroke-width:1.6;marker-end:url(#head)} #head path{fill:var(--line)}
.column{fill:var(--text)} .rule{stroke:var(--line);stroke-width:1}
`

func newCanvas(title string, width, height int) *canvas {
	c := &canvas{}
	c.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" role="img">`, width, height, width)
	c.printf(`<title>%s</title><style>%s</style>`, html.EscapeString(title), style)
	c.printf(`<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 1L10 5L0 9z"/></marker>`)
	c.printf(`<rect class="page" width="%d" height="%d" rx="10"/>`, width, height)
	return c
}

func (c *canvas) finish() []byte {
	c.printf(`</svg>`)
	return c.Bytes()
}

func (c *canvas) printf(format string, args ...any) { _, _ = fmt.Fprintf(c, format+"\n", args...) }

const lineHeight = 17

// box draws a rectangle of a class with centred lines, of which the first is the title.
func (c *canvas) box(class string, x, y, width, height int, lines ...string) {
	c.printf(`<rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="7"/>`, class, x, y, width, height)
	first := y + (height-lineHeight*len(lines))/2 + 13
	for i, line := range lines {
		kind := "line"
		if i == 0 {
			kind = "title"
		}
		c.text(kind, "middle", x+width/2, first+i*lineHeight, line)
	}
}

// panel draws the rectangle that other shapes lie in, with its title at the top left.
func (c *canvas) panel(x, y, width, height int, title, note string) {
	c.printf(`<rect class="panel" x="%d" y="%d" width="%d" height="%d" rx="10"/>`, x, y, width, height)
	c.text("title", "start", x+14, y+24, title)
	c.text("line", "start", x+14, y+42, note)
}

// text writes lines below one another; anchor is start, middle or end.
func (c *canvas) text(class, anchor string, x, y int, lines ...string) {
	for i, line := range lines {
		c.printf(`<text class="%s" text-anchor="%s" x="%d" y="%d">%s</text>`, class, anchor, x, y+i*lineHeight, html.EscapeString(line))
	}
}

// arrow draws a line through points, x and y in turns, with a head at the last one.
func (c *canvas) arrow(points ...int) {
	c.printf(`<polyline class="arrow" points="%s"/>`, strings.Trim(fmt.Sprint(points), "[]"))
}
