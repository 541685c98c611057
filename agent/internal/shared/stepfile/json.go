package stepfile

import (
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// A member is the name of an object's member, and where it stands.
type member struct {
	name string
	at   int
}

// object reads an object and returns where it begins. Each is called for each member, and
// must read its value; a name that was there before is reported instead.
func (p *parser) object(each func(member) error) (start int, err error) {
	if _, err := p.dec.ReadToken(); err != nil {
		return 0, err
	}
	start = int(p.dec.InputOffset()) - 1
	lines := map[string]int{}
	for p.dec.PeekKind() != '}' {
		m, err := p.name()
		if err != nil {
			return start, err
		}
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

func (p *parser) name() (member, error) {
	raw, at, err := p.value()
	if err != nil {
		return member{}, err
	}
	name, err := jsontext.AppendUnquote(nil, raw)
	return member{name: string(name), at: at}, err
}

// value reads the next value and where it begins. It is valid until the next is read.
func (p *parser) value() (raw []byte, at int, err error) {
	raw, err = p.dec.ReadValue()
	return raw, int(p.dec.InputOffset()) - len(raw), err
}

// kindName is a kind of JSON value in words.
func kindName(kind jsontext.Kind) string {
	switch kind {
	case 'n':
		return "null"
	case 't', 'f':
		return "true or false"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '{':
		return "an object"
	case '[':
		return "a list"
	default:
		return "something else"
	}
}

// quote shows what somebody wrote, safe to print and of bounded length.
func quote(s string) string { return fmt.Sprintf("%.40q", s) }
