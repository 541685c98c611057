package protocol

import (
	"bytes"
	"errors"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// The functions of this file decode the value of one field: raw is one valid JSON value without
// white space around it. The second result is the problem, empty for none.

// readInteger decodes an integer of the given number of bits. 1.0 and 1e0 are not integers; -0 is 0.
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

// readText decodes a string.
func readText(name string, raw []byte) (text, problem string) {
	if raw[0] != '"' {
		return "", name + " must be a string, got " + quote(raw)
	}
	return string(unquote(raw)), ""
}

// readSession decodes the name of a session.
func readSession(raw []byte) (session, problem string) {
	if raw[0] == '"' {
		text := unquote(raw)
		if isNameLength(text) && isPrintableASCII(text) {
			return string(text), ""
		}
	}
	return "", "session must be a string of 1 to 64 printable ASCII characters, got " + quote(raw)
}

// readIdentity decodes the name and version of a client or an agent. Any other value counts as
// absent: programs older than the field may use its name otherwise.
func readIdentity(raw []byte) string {
	identity, _ := readSession(raw) // the same characters; empty for any other value
	return identity
}

// readReq decodes a req.
func readReq(raw []byte) (req ReqID, problem string) {
	if raw[0] == '"' {
		if text := unquote(raw); isNameLength(text) {
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

// readWait decodes a number of seconds, truncated to nanoseconds and limited to MaxWait. A number
// beyond the largest float64 is refused, because most clients would have meant infinity.
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

// nanoseconds converts an unsigned JSON number of seconds, digit by digit: a float64 would not hold
// 7.7, nor a large number to the nanosecond. It truncates, so that 4.9999999999 is less than 5.
func nanoseconds(number []byte) time.Duration {
	digits, exponent := cutExponent(number)
	whole, fraction, _ := bytes.Cut(digits, []byte{'.'})
	// The number of digits before the point once it has moved: 9 places from seconds to
	// nanoseconds, and those of the exponent.
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

// maxExponent bounds an exponent; no message has enough digits to offset a larger one.
const maxExponent = 1 << 30

func cutExponent(number []byte) (digits []byte, exponent int) {
	e := bytes.IndexAny(number, "eE")
	if e < 0 {
		return number, 0
	}
	// Out of range, Atoi returns the nearest int.
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

// unquote returns the text of a JSON string, part of raw unless raw has escapes.
func unquote(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	// The tokenizer has checked the string, so this cannot fail.
	text, _ := jsontext.AppendUnquote(nil, raw)
	return text
}
