package protocol

// readPlain decodes a request of the common form: the fields step_id, timeout, interval, session and
// req, each at most once, and strings of ASCII without escapes. False means that the message has
// another form, valid or not, and that decodeRequest must decode it. Where readPlain returns true,
// decodeRequest would return the same request.
func readPlain(message []byte, r *Request) bool {
	p := plain{rest: message}
	if !p.skip('{') {
		return false
	}
	var seen [fieldCount]bool
	for {
		name, ok := p.text()
		if !ok || !p.skip(':') {
			return false
		}
		f := fieldOf(name)
		if seen[f] || !p.field(f, r) {
			return false
		}
		seen[f] = true
		if p.skip(',') {
			continue
		}
		return p.skip('}') && len(p.rest) == 0 && seen[fieldStepID]
	}
}

// plain is the rest of a message. Its methods advance past what they read; false means that the
// message is not plain.
type plain struct{ rest []byte }

func (p *plain) space() {
	for len(p.rest) > 0 && isSpace(p.rest[0]) {
		p.rest = p.rest[1:]
	}
}

// skip advances past one character and the white space around it.
func (p *plain) skip(c byte) bool {
	p.space()
	if len(p.rest) == 0 || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	p.space()
	return true
}

// text reads a string of printable ASCII without escapes.
func (p *plain) text() ([]byte, bool) {
	if len(p.rest) == 0 || p.rest[0] != '"' {
		return nil, false
	}
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			text := p.rest[1:i]
			p.rest = p.rest[i+1:]
			return text, true
		case c < 0x20 || c > 0x7e || c == '\\':
			return nil, false
		}
	}
	return nil, false
}

// number reads a number without an exponent, RFC 8259, section 6.
func (p *plain) number() (raw []byte, integer, ok bool) {
	n := 0
	if n < len(p.rest) && p.rest[n] == '-' {
		n++
	}
	whole := digits(p.rest[n:])
	if whole == 0 || whole > 1 && p.rest[n] == '0' {
		return nil, false, false
	}
	n += whole
	integer = true
	if n < len(p.rest) && p.rest[n] == '.' {
		fraction := digits(p.rest[n+1:])
		if fraction == 0 {
			return nil, false, false
		}
		n += 1 + fraction
		integer = false
	}
	raw, p.rest = p.rest[:n], p.rest[n:]
	return raw, integer, len(p.rest) > 0 && p.rest[0] != 'e' && p.rest[0] != 'E'
}

func digits(b []byte) int {
	for i, c := range b {
		if c < '0' || c > '9' {
			return i
		}
	}
	return len(b)
}

// field decodes the value of a field.
func (p *plain) field(f field, r *Request) bool {
	var problem string
	switch f {
	case fieldStepID:
		raw, integer, ok := p.number()
		if !ok || !integer {
			return false
		}
		r.StepID, problem = readInteger("step_id", raw, 64)
	case fieldTimeout, fieldInterval:
		raw, _, ok := p.number()
		if !ok {
			return false
		}
		into := &r.Timeout
		if f == fieldInterval {
			into = &r.Interval
		}
		*into, problem = readWait("", raw)
	case fieldSession:
		text, ok := p.text()
		r.Session = string(text)
		return ok && isNameLength(text)
	case fieldReq:
		if text, ok := p.text(); ok {
			r.Req = TextReq(string(text))
			return isNameLength(text)
		}
		raw, integer, ok := p.number()
		if !ok || !integer {
			return false
		}
		var n int64
		n, problem = readInteger("req", raw, 64)
		r.Req = NumReq(n)
	default:
		return false
	}
	return problem == ""
}

func isNameLength(text []byte) bool { return len(text) >= 1 && len(text) <= MaxNameBytes }
