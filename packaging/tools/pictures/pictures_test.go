package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestDrawings: the drawings in the tree are those that this program makes.
func TestDrawings(t *testing.T) {
	t.Parallel()
	for name, draw := range drawings {
		file, err := os.ReadFile(filepath.Join("../../..", folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(file, draw()) {
			t.Errorf("%s differs from its drawing; run: go run ./packaging/tools/pictures", name)
		}
	}
}
