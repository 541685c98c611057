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
	i := &Image{file: file, done: make(chan struct{})}
	i.Hash(new(Checksums))
	<-i.done
	if i.sum != "" {
		t.Errorf("got %s", i.sum)
	}
}
