// Package cataloguetest checks catalogues of texts: that no language lacks an entry, and that each is in its
// language and takes the same values.
package cataloguetest

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// Check compares an English and a Korean catalogue, which are pointers to structs of the same type. The fields
// are texts, or maps, slices and structs of texts; a text may be a format. Neutral are names of entries, such as
// ".Scale", that are the same in both languages.
func Check(t *testing.T, english, korean any, neutral ...string) {
	t.Helper()
	en, ko := Entries(english), Entries(korean)
	if len(en) != len(ko) {
		t.Errorf("%d entries in English and %d in Korean", len(en), len(ko))
	}
	for name, text := range en {
		other, ok := ko[name]
		switch {
		case !ok:
			t.Errorf("%s is missing in Korean", name)
		case text == "" || other == "":
			t.Errorf("%s is empty: %q and %q", name, text, other)
		case verbs(text) != verbs(other):
			t.Errorf("%s takes %s in English and %s in Korean", name, verbs(text), verbs(other))
		case strings.ContainsFunc(text, Hangul):
			t.Errorf("%s is Korean in English: %s", name, text)
		case !strings.ContainsFunc(other, Hangul) && !slices.Contains(neutral, name):
			t.Errorf("%s is not Korean: %s", name, other)
		}
	}
}

// Hangul reports whether a letter is Korean.
func Hangul(r rune) bool { return unicode.Is(unicode.Hangul, r) }

// Entries returns every text of a catalogue by its name.
func Entries(catalogue any) map[string]string {
	all := map[string]string{}
	var walk func(name string, v reflect.Value)
	walk = func(name string, v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			all[name] = v.String()
		case reflect.Map:
			for _, key := range v.MapKeys() {
				all[fmt.Sprintf("%s[%v]", name, key)] = v.MapIndex(key).String()
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(fmt.Sprintf("%s[%d]", name, i), v.Index(i))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if field := v.Type().Field(i); field.IsExported() {
					walk(name+"."+field.Name, v.Field(i))
				}
			}
		}
	}
	walk("", reflect.ValueOf(catalogue).Elem())
	return all
}

// verbs returns the verbs of a format in the order of its arguments.
func verbs(format string) string {
	found := regexp.MustCompile(`%(?:\[(\d)\])?([a-z])`).FindAllStringSubmatch(format, -1)
	slices.SortStableFunc(found, func(a, b []string) int { return strings.Compare(a[1], b[1]) })
	var all []string
	for _, f := range found {
		all = append(all, f[2])
	}
	return strings.Join(all, "")
}
