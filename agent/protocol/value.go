package protocol

import (
	"bytes"
	"errors"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// The functions of this file read the value of one field: raw is one valid JSON value with
// no space around it. The second result says what is wrong, empty when nothing is; what is
// read then does not count.

// readInteger reads an integer of the given number of bits. 1.0 and 1e0 are none; -0 is 0.
func readInteger(name string, raw []byte, bits int) (n int64, problem string) {
	n, err := strconv.ParseInt(string(raw), 10, bits)
	switch {
	case err == nil:
		return n, ""
	case errors.Is(err, strconv.ErrRange):
		return 0, name + " must fit " + strconv.Itoa(bits) + " bits, got " + quote(raw)
	default:
		return 0, name + " must be an integer, got " + quote(raw)
	}
}

// readText reads a string.
func readText(name string, raw []byte) (text, problem string) {
	if raw[0] != '"' {
		return "", name + " must be a string, got " + quote(raw)
	}
	return string(unquote(raw)), ""
}

// readSession reads the name of a session.
func readSession(raw []byte) (session, problem string) {
	if raw[0] == '"' {
		text := unquote(raw)
		if len(text) >= 1 && len(text) <= MaxNameBytes && isPrintableASCII(text) {
			return string(text), ""
		}
	}
	return "", "session must be a string of 1 to 64 printable ASCII characters, got " + quote(raw)
}

// readIdentity reads the name and version of a client or an agent. Whatever else stands there
// counts as absent: programs older than the field may use the word for something of their own.
func readIdentity(raw []byte) string {
	identity, _ := readSession(raw) // the same characters; empty when it is something else
	return identity
}

// readReq reads a req as a request may have it.
func readReq(raw []byte) (req ReqID, problem string) {
	if raw[0] == '"' {
		if text := unquote(raw); len(text) >= 1 && len(text) <= MaxNameBytes {
			return TextReq(string(text)), ""
		}
	} else if n, wrong := readInteger("req", raw, 64); wrong == "" {
		return NumReq(n), ""
	}
	return ReqID{}, "req must be a string of 1 to 64 bytes or a 64-bit integer, got " + quote(raw)
}

// readObject returns a copy of an object.
func readObject(name string, raw []byte) (object []byte, problem string) {
	if raw[0] != '{' {
		return nil, name + " must be an object, got " + quote(raw)
	}
	return bytes.Clone(raw), ""
}

// readWait reads a number of seconds. What is smaller than a nanosecond is cut off, and more
// than MaxWait counts as MaxWait. A number beyond the largest float64 is refused,
// because most clients would have meant infinity.
func readWait(name string, raw []byte) (wait Wait, problem string) {
	if !isNumber(raw) || raw[0] == '-' && !isZero(raw) {
		return Wait{}, name + " must be a number of seconds, 0 or more, got " + quote(raw)
	}
	d := nanoseconds(bytes.TrimPrefix(raw, []byte("-")))
	if d == MaxWait {
		if _, err := strconv.ParseFloat(string(raw), 64); err != nil {
			return Wait{}, name + " must be a finite number of seconds, got " + quote(raw)
		}
	}
	return Seconds(d), ""
}

// nanoseconds converts a JSON number of seconds with no sign, digit by digit: a float64
// would not hold 7.7, nor a large number to the nanosecond. What is smaller than a nanosecond
// is cut off, so that 4.9999999999 is less than 5.
func nanoseconds(number []byte) time.Duration {
	digits, exponent := cutExponent(number)
	whole, fraction, _ := bytes.Cut(digits, []byte{'.'})
	// Of all digits, those before the point once it has been moved: 9 places from seconds to
	// nanoseconds, and as many as the exponent says.
	before := len(whole) + exponent + 9

	var ns time.Duration
	place := 0
	for _, part := range [2][]byte{whole, fraction} {
		for _, c := range part {
			switch {
			case place > before:
				return 0 // the point is left of the first digit
			case place == before:
				return min(ns, MaxWait)
			case ns > MaxWait/10:
				return MaxWait
			}
			ns = ns*10 + time.Duration(c-'0')
			place++
		}
	}
	for ; place < before && ns > 0; place++ {
		if ns > MaxWait/10 {
			return MaxWait
		}
		ns *= 10
	}
	return min(ns, MaxWait)
}

// maxExponent bounds an exponent; no message is long enough to make up for a larger one.
const maxExponent = 1 << 30

func cutExponent(number []byte) (digits []byte, exponent int) {
	e := bytes.IndexAny(number, "eE")
	if e < 0 {
		return number, 0
	}
	// What is out of range comes back as the nearest int.
	exponent, _ = strconv.Atoi(string(number[e+1:]))
	return number[:e], min(max(exponent, -maxExponent), maxExponent)
}

func isNumber(raw []byte) bool { return raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9' }

// isZero reports whether a number has no digit but 0 before its exponent.
func isZero(number []byte) bool {
	digits, _ := cutExponent(number)
	return !bytes.ContainsAny(digits, "123456789")
}

func isPrintableASCII(text []byte) bool {
	for _, c := range text {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return true
}

// unquote returns the text of a JSON string, a part of raw unless raw has escapes.
func unquote(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	// The tokenizer has let the string pass, so this cannot fail.
	text, _ := jsontext.AppendUnquote(nil, raw)
	return text
}
