package program

import (
	"os"
	"path/filepath"
	"testing"
)

// A file that is larger than any program is not hashed.
func TestP07OfAHugeFileNoChecksumIsShown(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "huge"))
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Truncate(maxBytes + 1); err != nil {
		t.Fatal(err)
	}
	i := (&Program{Path: file.Name()}).Image()
	defer i.Close()
	if got := i.Checksum(new(Checksums)); got != "" || i.file == nil {
		t.Errorf("got %s", got)
	}
}
