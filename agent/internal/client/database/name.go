package database

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ProcedureName returns the name of a procedure by its step file: the file's name without folder and
// ending, shortened to MaxNameBytes.
func ProcedureName(file string) string {
	base := filepath.Base(strings.ReplaceAll(file, `\`, "/"))
	name := strings.TrimSuffix(base, filepath.Ext(base))
	if name == "" {
		name = base // .json
	}
	name = storable(name)
	for len(name) > MaxNameBytes {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name
}

// CheckName returns why a name that a user gives cannot be that of what: procedure, board, label or
// baseline.
func CheckName(what, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("the %s has no name", what)
	case len(name) > MaxNameBytes:
		return fmt.Errorf("the name of the %s has %d bytes; at most %d", what, len(name), MaxNameBytes)
	case !utf8.ValidString(name):
		return fmt.Errorf("the name of the %s, %q, is not UTF-8", what, name)
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("the name of the %s, %q, has control characters", what, name)
	case strings.TrimSpace(name) != name:
		return fmt.Errorf("the name of the %s, %q, begins or ends with a space", what, name)
	}
	return nil
}

// CheckProcedureName returns why a name cannot be that of a procedure to import. It refuses names that
// "run --procedure NAME@VERSION" could not tell apart.
func CheckProcedureName(name string) error {
	if strings.ContainsAny(name, "@") {
		return fmt.Errorf("the name of the procedure, %q, has an @, which separates name and version; choose another with --name", name)
	}
	return CheckName("procedure", name)
}

// CheckLabels returns why labels cannot be stored. A value may be empty.
func CheckLabels(labels map[string]string) error {
	for key, value := range labels {
		if err := CheckName("label", key); err != nil {
			return err
		}
		if strings.ContainsAny(key, "=,") {
			return fmt.Errorf("the label %q has a = or a comma in its key", key)
		}
		if value == "" {
			continue
		}
		if err := CheckName("value of label "+key, value); err != nil {
			return err
		}
		if strings.Contains(value, ",") {
			return fmt.Errorf("the value of the label %s, %q, has a comma", key, value)
		}
	}
	if len(labels) > maxLabels {
		return errors.New("a run has at most 100 labels")
	}
	return nil
}

// maxLabels is the number of labels that a run may have.
const maxLabels = 100

// storable returns text that both engines accept: PostgreSQL refuses NUL and invalid UTF-8.
func storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
