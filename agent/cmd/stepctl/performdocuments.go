package main

import (
	"errors"
	"io"
	"iter"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/client/report"
)

// boardToken stands for the name of the board in the names of files.
const boardToken = "{board}"

// atBoard returns a name with that of the board instead of boardToken.
func atBoard(name, board string) string { return strings.ReplaceAll(name, boardToken, board) }

// perBoard returns a file's name with boardToken before its extension.
func perBoard(path string) string {
	extension := filepath.Ext(path)
	return strings.TrimSuffix(path, extension) + "-" + boardToken + extension
}

// of returns the documents of one board: those with boardToken in their names, and the page of the board
// behind the page of all boards.
func (d *documents) of(board string) documents {
	own := documents{lang: d.lang}
	for _, doc := range d.requested() {
		switch {
		case strings.Contains(doc.path, boardToken):
			doc.path = atBoard(doc.path, board)
		case doc.flag == "html" && !isDevice(doc.path):
			doc.path = atBoard(perBoard(doc.path), board)
		default:
			continue
		}
		own.all = append(own.all, doc)
	}
	return own
}

// whole returns the documents of all boards together.
func (d *documents) whole() documents {
	all := slices.DeleteFunc(d.requested(), func(doc document) bool { return strings.Contains(doc.path, boardToken) })
	return documents{all: all, lang: d.lang}
}

// pageLink returns the address of a board's page, as seen from the page of all boards; empty for none.
func (d *documents) pageLink(board string) string {
	i := slices.IndexFunc(d.all, func(doc document) bool { return doc.flag == "html" })
	path := d.all[i].path
	if isDevice(path) {
		return ""
	}
	page := url.URL{Path: filepath.Base(atBoard(perBoard(path), board))}
	return page.String()
}

// writeAll writes the documents of all boards together. After each, unread returns why not every board
// could be read.
func (d *documents) writeAll(boards iter.Seq[report.Board], unread func() error) error {
	return d.replace(func(doc document, w io.Writer) error { return errors.Join(doc.writeAll(w, boards), unread()) })
}
