// Command pictures draws the pictures of the documents into docs/pictures.
//
//	go run ./packaging/tools/pictures [-report]
//
// It writes architecture.svg and session.svg, which a test compares with the files in the tree.
// With -report it also writes report.png, a screenshot of pcap/failure.html; this needs chromium.
// It is run in the root folder of the repository.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const folder = "docs/pictures"

// drawings are the pictures that the program draws itself, by their file names.
var drawings = map[string]func() []byte{
	"architecture.svg": architecture,
	"session.svg":      session,
}

func main() {
	report := flag.Bool("report", false, "take the screenshot of a report too, with chromium")
	flag.Parse()
	err := writeDrawings()
	if err == nil && *report {
		err = screenshot("pcap/failure.html", filepath.Join(folder, "report.png"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

func writeDrawings() error {
	for name, draw := range drawings {
		if err := os.WriteFile(filepath.Join(folder, name), draw(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// screenshot has chromium show the top of a page.
func screenshot(page, image string) error {
	dir, err := os.MkdirTemp("", "pictures-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	page, err = filepath.Abs(page)
	if err != nil {
		return err
	}
	out, err := exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
		"--force-device-scale-factor=1.5", "--user-data-dir="+dir, "--window-size=960,1180",
		"--screenshot="+image, "file://"+page).CombinedOutput()
	if err != nil {
		return fmt.Errorf("chromium: %w\n%s", err, out)
	}
	return nil
}
