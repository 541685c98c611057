// Command pictures draws the pictures of the documents into docs/pictures.
//
//	go run ./packaging/tools/pictures
//
// It writes architecture.svg, database.svg and session.svg, which a test compares with the files in the
// tree. It is run in the root folder of the repository. docs/pictures/draw.sh runs it and takes the screenshot
// of a report.
package main

import (
	"log"
	"os"
	"path/filepath"
)

const folder = "docs/pictures"

// drawings are the pictures that the program draws, by their file names.
var drawings = map[string]func() []byte{
	"architecture.svg": architecture,
	"database.svg":     schema,
	"session.svg":      session,
}

func main() {
	for name, draw := range drawings {
		if err := os.WriteFile(filepath.Join(folder, name), draw(), 0o644); err != nil {
			log.Fatalln("pictures:", err)
		}
	}
}
