package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/htmlkit"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// A view is one page for one reader.
type view struct {
	Words  *words
	Lang   htmlkit.Language
	Scheme string // light or dark; empty for the reader's preference
	Body   any

	name, title, place string
	request            *http.Request
	query              url.Values
	now                time.Time // of the database
}

// A badRequest is a parameter that a page does not accept.
type badRequest struct {
	name, value string
	want        string // an entry of words.Wants
}

// Error is for logs; pages say it in their language.
func (b *badRequest) Error() string { return fmt.Sprintf("the parameter %s: %.80q", b.name, b.value) }

func badPage(v *view, b *badRequest) problem {
	return problem{Sentence: fmt.Sprintf(v.Words.Bad, b.name, shorten(b.value)), Detail: v.Words.Wants[b.want]}
}

// shorten cuts text from outside that is shown in a sentence.
func shorten(text string) string {
	if runes := []rune(text); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return text
}

// view returns the view of a request, which may have the parameters allowed, separated by spaces. The view can
// show an error even if there is one.
func (s *Site) view(r *http.Request, allowed string) (*view, error) {
	v := &view{request: r, query: r.URL.Query(), Lang: s.language, place: config.WithoutPassword(s.source.place)}
	err := v.choose()
	if err == nil {
		for name, values := range v.query {
			known := slices.Contains(strings.Fields("lang scheme "+allowed), name)
			if !known || len(values) > 1 && name != "label" {
				err = &badRequest{name, values[0], map[bool]string{true: "once", false: "known"}[known]}
			}
		}
	}
	v.Words = wordsOf(v.Lang)
	return v, err
}

// choose sets language and scheme.
func (v *view) choose() (err error) {
	if v.Lang == "" {
		v.Lang = accepted(v.request.Header.Get("Accept-Language"))
	}
	if lang := v.query.Get("lang"); slices.Contains(htmlkit.Languages(), lang) {
		v.Lang = htmlkit.Language(lang)
	} else if v.query.Has("lang") {
		err = &badRequest{"lang", lang, "lang"}
	}
	v.Scheme = v.query.Get("scheme")
	if v.query.Has("scheme") && v.Scheme != "light" && v.Scheme != "dark" {
		err, v.Scheme = &badRequest{"scheme", v.Scheme, "scheme"}, ""
	}
	return err
}

// accepted returns the first language of a header that there are pages in.
func accepted(header string) htmlkit.Language {
	for part := range strings.SplitSeq(header, ",") {
		name, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		name, _, _ = strings.Cut(strings.ToLower(name), "-")
		if slices.Contains(htmlkit.Languages(), name) {
			return htmlkit.Language(name)
		}
	}
	return htmlkit.English
}

// Link returns the address of a page with parameters, given as name and value. The choices of the reader stay.
func (v *view) Link(path string, parameters ...string) string {
	query := url.Values{}
	for i := 0; i+1 < len(parameters); i += 2 {
		if parameters[i+1] != "" {
			query.Add(parameters[i], parameters[i+1])
		}
	}
	for _, name := range []string{"lang", "scheme"} {
		if v.query.Get(name) != "" {
			query.Set(name, v.query.Get(name))
		}
	}
	return address(path, query)
}

// Here returns the address of this page with other values of parameters; an empty value removes one.
func (v *view) Here(parameters ...string) string {
	query := url.Values{}
	for name, values := range v.query {
		query[name] = values
	}
	for i := 0; i+1 < len(parameters); i += 2 {
		query.Del(parameters[i])
		if parameters[i+1] != "" {
			query.Set(parameters[i], parameters[i+1])
		}
	}
	return address(v.request.URL.Path, query)
}

func address(path string, query url.Values) string {
	u := url.URL{Path: path, RawQuery: query.Encode()}
	return u.String()
}

// Run returns the address of a run.
func (v *view) Run(id string) string { return v.Link("/run/" + id) }

// Title is that of the window.
func (v *view) Title() string { return v.title }

// Place names the database.
func (v *view) Place() string { return v.place }

// Current reports whether this is the page of a name.
func (v *view) Current(name string) bool { return v.name == name }

// Value returns a parameter of this page.
func (v *view) Value(name string) string { return v.query.Get(name) }

// Time formats a point in time for people, in this machine's zone.
func (v *view) Time(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// Machine formats a point in time for programs.
func (v *view) Machine(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// A choice is one of several links.
type choice struct {
	Word, Address string
	Current       bool
}

// Languages returns the other languages, each in its own words.
func (v *view) Languages() (all []choice) {
	for _, language := range htmlkit.Languages() {
		if language != string(v.Lang) {
			all = append(all, choice{Word: htmlkit.Language(language).Name(), Address: v.Here("lang", language)})
		}
	}
	return all
}

// Schemes returns the choices of colours.
func (v *view) Schemes() (all []choice) {
	for _, scheme := range []string{"", "light", "dark"} {
		all = append(all, choice{v.Words.Schemes[scheme], v.Here("scheme", scheme), v.Scheme == scheme})
	}
	return all
}

// Reset returns the address of this page without a selection.
func (v *view) Reset() string {
	return v.Here("procedure", "", "board", "", "label", "", "verdict", "", "since", "", "until", "", "before", "", "page", "", "rows", "")
}
