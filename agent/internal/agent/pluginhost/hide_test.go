package pluginhost

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// TestHiddenErrors keep what they are and lose the secret in their text.
func TestHiddenErrors(t *testing.T) {
	t.Parallel()
	s := Spec{Hide: func(text string) string { return strings.ReplaceAll(text, "secret", "...") }}
	cause := errors.Join(errors.New("a secret"), io.EOF)
	if got := s.hidden(cause); got.Error() != "a ...\nEOF" || !errors.Is(got, io.EOF) {
		t.Errorf("got %v", got)
	}
	for _, s := range []Spec{s, {}} {
		if got := s.hidden(io.EOF); got != io.EOF {
			t.Errorf("without a secret in it: %#v", got)
		}
		if got := s.hidden(nil); got != nil {
			t.Errorf("no error became %v", got)
		}
	}
	wrong := member{Spec: s}.wrong("settings.secret", "the secret %d", 1).Error()
	if want := "validator 1: settings....: the ... 1"; wrong != want {
		t.Errorf("got %q, want %q", wrong, want)
	}
}
