package stepfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"go/token"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	listKey = "test_services"
	// sample is shown to whoever wrote something else.
	sample = `{"test_services":[{"step_id":1,"timeout":5,"interval":1}]}`
)

// Parse reads the bytes of a step file; name becomes the procedure's name. The findings are
// in the order of their places. When one of them is no warning the procedure has no steps.
func Parse(name string, data []byte) (Procedure, []Finding) {
	sum := sha256.Sum256(data)
	procedure := Procedure{Name: name, SHA256: hex.EncodeToString(sum[:])}
	p := newParser(data)
	if p.encoding() {
		p.document()
	}
	p.finish()
	if AsError(name, p.findings) == nil {
		procedure.Steps = p.steps
	}
	return procedure, p.findings
}

// A parser reads one step file. Places in the file are byte offsets until they are reported.
type parser struct {
	data []byte
	dec  *jsontext.Decoder
	file *token.File
	// end is where the last line ends that is not blank.
	end      int
	findings []Finding
	// sorts has the place in findings of the first of each sort, for those of steps.
	sorts map[sort]int
	// errors counts all errors. Of both kinds of findings a number is kept, and the further
	// ones counted.
	errors                         int
	keptErrors, keptWarnings       int
	furtherErrors, furtherWarnings int
	steps                          []Step
	// place is the place of the step that is being read, from 1; 0 outside the steps.
	place int
	// firstUse is the line of the first step with an id.
	firstUse map[int64]int
}

func newParser(data []byte) *parser {
	file := token.NewFileSet().AddFile("", -1, len(data))
	file.SetLinesForContent(data)
	// Duplicate names are found by the parser, which can go on after one.
	dec := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true))
	return &parser{data: data, dec: dec, file: file, end: len(bytes.TrimRight(data, "\r\n")), firstUse: map[int64]int{},
		sorts: map[sort]int{}}
}

// encoding reports what no JSON can begin with, and whether it is worth reading on.
func (p *parser) encoding() bool {
	switch {
	case len(bytes.TrimSpace(p.data)) == 0:
		p.fail(0, "", "the file is empty; write "+sample)
	case bytes.HasPrefix(p.data, []byte("\xef\xbb\xbf")):
		p.fail(0, "", "the file begins with a byte order mark; save it as UTF-8 without one")
	case bytes.HasPrefix(p.data, []byte("\xff\xfe")), bytes.HasPrefix(p.data, []byte("\xfe\xff")):
		p.fail(0, "", "the file is UTF-16; save it as UTF-8")
	default:
		return true
	}
	return false
}

// document reads the whole file.
func (p *parser) document() {
	if kind := p.dec.PeekKind(); kind != '{' && kind != jsontext.KindInvalid {
		_, at, err := p.value()
		if err == nil {
			p.fail(at, "", "the file must be one object, not "+kindName(kind)+"; write "+sample)
		}
		p.syntax(err)
		return
	}
	if err := p.top(); err != nil {
		p.syntax(err)
		return
	}
	if _, at, err := p.value(); err == nil {
		p.fail(at, "", "something follows the procedure; a step file is one object")
	} else if !errors.Is(err, io.EOF) {
		p.syntax(err)
	}
}

// top reads the object that is the file.
func (p *parser) top() error {
	var unknown []member
	found := false
	_, err := p.object(func(m member) error {
		if m.name != listKey {
			unknown = append(unknown, m)
			return p.dec.SkipValue()
		}
		found = true
		return p.list()
	})
	if err != nil {
		return err
	}
	for _, m := range unknown {
		switch {
		case found:
			p.warnUnknown(m)
		case len(unknown) == 1:
			p.fail(m.at, "", "unknown key "+quote(m.name)+"; did you mean "+quote(listKey)+"?")
			found = true
		}
	}
	if !found {
		p.fail(0, listKey, "is missing; write "+sample)
	}
	return nil
}

// syntax reports what makes the rest of the file unreadable; nil is nothing to report.
func (p *parser) syntax(err error) {
	if err == nil {
		return
	}
	at, what := int(p.dec.InputOffset()), err.Error()
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		at, what = min(int(syntactic.ByteOffset), len(p.data)), syntactic.Err.Error()
	}
	switch rest := bytes.Trim(p.data[at:], ", \t\r\n"); {
	case errors.Is(err, io.ErrUnexpectedEOF):
		at, what = len(p.data), "the file ends in the middle"
	case len(rest) > 0 && p.data[at] == ',' && (rest[0] == '}' || rest[0] == ']'):
		what = fmt.Sprintf("nothing follows this comma but %q; remove it", rest[0])
	}
	p.fail(at, "", "not valid JSON: "+what)
}
