package stepfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	listKey = "test_services"
	sample  = `{"test_services":[{"step_id":1,"timeout":5,"interval":1}]}`
)

// Parse reads the bytes of a step file; name becomes the procedure's name. The findings are in the
// order of their places. If one of them is an error, the procedure has no steps.
func Parse(name string, data []byte) (Procedure, []Finding) {
	sum := sha256.Sum256(data)
	procedure := Procedure{Name: name, SHA256: hex.EncodeToString(sum[:])}
	// The parser finds duplicate names itself, so that it can continue after one.
	dec := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true))
	p := &parser{collector: newCollector(data), data: data, dec: dec, firstUse: map[int64]int{}}
	if p.encoding() {
		p.document()
	}
	findings := p.sorted()
	if p.kept[false] == 0 {
		procedure.Steps = p.steps
	}
	return procedure, findings
}

// A parser reads one step file.
type parser struct {
	collector
	data     []byte
	dec      *jsontext.Decoder
	steps    []Step
	firstUse map[int64]int // line of the first step with an id
}

// encoding reports whether the file can be JSON in UTF-8.
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

// top reads the object that is the whole file.
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

// syntax adds the error that makes the rest of the file unreadable; nil adds none.
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

// A member is a name in an object, with its offset.
type member struct {
	name string
	at   int
}

// object reads an object and returns its offset. It calls each for every member, which must read
// the value; a duplicate name is an error instead.
func (p *parser) object(each func(member) error) (start int, err error) {
	if _, err := p.dec.ReadToken(); err != nil {
		return 0, err
	}
	start = int(p.dec.InputOffset()) - 1
	lines := map[string]int{}
	for p.dec.PeekKind() != '}' {
		raw, at, err := p.value()
		if err != nil {
			return start, err
		}
		unquoted, err := jsontext.AppendUnquote(nil, raw)
		if err != nil {
			return start, err
		}
		m := member{string(unquoted), at}
		if line, twice := lines[m.name]; twice {
			p.fail(m.at, "", fmt.Sprintf("key %s is there twice, first in line %d; keep one", quote(m.name), line))
			err = p.dec.SkipValue()
		} else {
			lines[m.name] = p.position(m.at).Line
			err = each(m)
		}
		if err != nil {
			return start, err
		}
	}
	_, err = p.dec.ReadToken()
	return start, err
}

// value reads the next value and returns it with its offset. It is valid until the next read.
func (p *parser) value() (raw []byte, at int, err error) {
	raw, err = p.dec.ReadValue()
	return raw, int(p.dec.InputOffset()) - len(raw), err
}

// quote shows text of the file, safe to print and of bounded length.
func quote(s string) string { return fmt.Sprintf("%.40q", s) }
