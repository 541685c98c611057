package protocol_test

import (
	"bytes"
	"encoding/json"
	"io"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stepagent/stepagent/agent/protocol"
)

// What is in this file does the work of the package a second time, slowly and by other
// means, for the fuzz targets to compare.

// slowSplit cuts a stream into messages by looking at each beginning of it anew.
func slowSplit(stream []byte, limit int) reading {
	var all reading
	text := regexp.MustCompile(`"([^"\\\x00-\x1f]|\\[^\x00-\x1f])*"`)
	for {
		stream = bytes.TrimLeft(stream, " \t\r\n")
		if len(stream) == 0 {
			all.end = io.EOF
			return all
		}
		if stream[0] != '{' {
			all.end = &protocol.Error{Reason: protocol.BadMessage}
			return all
		}
		for size := 1; ; size++ {
			outside, open, isOpen := bytes.Cut(text.ReplaceAll(stream[:size], nil), []byte{'"'})
			if !isOpen && bytes.Count(outside, []byte{'{'}) == bytes.Count(outside, []byte{'}'}) {
				all.messages = append(all.messages, string(stream[:size]))
				stream = stream[size:]
				break
			}
			if size == limit || bytes.ContainsFunc(open, func(r rune) bool { return r < 0x20 }) {
				all.end = &protocol.Error{Reason: protocol.BadMessage}
				return all
			}
			if size == len(stream) {
				all.end = io.ErrUnexpectedEOF
				return all
			}
		}
	}
}

// A second is what the second decoder makes of a message.
type second struct {
	// reason is empty when the message is accepted.
	reason protocol.Reason
	// about is the field that is wrong first, or "twice".
	about   string
	request protocol.Request
	stepID  *int64
}

// secondDecode decodes a request with encoding/json.
func secondDecode(message []byte) second {
	trimmed := bytes.Trim(message, " \t\r\n")
	if !utf8.Valid(message) || !json.Valid(message) || trimmed[0] != '{' || halfSurrogate(message) || slowDepth(message) > protocol.MaxDepth {
		return second{reason: protocol.BadMessage}
	}
	var s second
	problem := func(about string) {
		if s.about == "" {
			s.about = about
		}
	}
	seen := make(map[string]int)
	decoder := json.NewDecoder(bytes.NewReader(message))
	decoder.UseNumber()
	token(decoder)
	for decoder.More() {
		name := token(decoder).(string)
		if seen[name]++; seen[name] > 1 {
			problem("twice")
		}
		before := decoder.InputOffset()
		value, twice := secondValue(decoder)
		if twice {
			problem("twice")
		}
		raw := bytes.TrimLeft(message[before:decoder.InputOffset()], ": \t\r\n")
		if seen[name] == 1 && !s.field(name, value, raw) {
			problem(name)
		}
	}
	// What appears twice cannot be read.
	if seen["step_id"] != 1 {
		s.stepID = nil
		problem("step_id")
	}
	if seen["session"] > 1 {
		s.request.Session = ""
	}
	if seen["client"] > 1 {
		s.request.Client = ""
	}
	if seen["req"] > 1 {
		s.request.Req = protocol.ReqID{}
	}
	if s.about != "" {
		s.reason = protocol.BadRequest
	}
	return s
}

// field takes in one field and reports whether it is right.
func (s *second) field(name string, value any, raw []byte) (ok bool) {
	switch name {
	case "step_id":
		var id int64
		if id, ok = secondInteger(value); ok {
			s.stepID, s.request.StepID = &id, id
		}
	case "timeout":
		s.request.Timeout, ok = secondWait(value)
	case "interval":
		s.request.Interval, ok = secondWait(value)
	case "session":
		var name string
		name, ok = value.(string)
		if ok = ok && regexp.MustCompile(`\A[ -~]{1,64}\z`).MatchString(name); ok {
			s.request.Session = name
		}
	case "req":
		if text, isText := value.(string); isText && text != "" && len(text) <= 64 {
			s.request.Req, ok = protocol.TextReq(text), true
		} else if id, isID := secondInteger(value); isID {
			s.request.Req, ok = protocol.NumReq(id), true
		}
	case "client":
		ok = true
		if name, isText := value.(string); isText && regexp.MustCompile(`\A[ -~]{1,64}\z`).MatchString(name) {
			s.request.Client = name
		}
	case "data":
		if _, ok = value.(object); ok {
			s.request.Data = raw
		}
	default:
		ok = true
	}
	return ok
}

type object struct{}

func token(decoder *json.Decoder) json.Token {
	t, err := decoder.Token()
	if err != nil {
		panic(err) // the message is valid JSON
	}
	return t
}

// secondValue reads one value; what is in objects and arrays is only looked at for names
// that stand twice.
func secondValue(decoder *json.Decoder) (value any, twice bool) {
	value = token(decoder)
	switch value {
	case json.Delim('{'):
		names := make(map[string]bool)
		for decoder.More() {
			name := token(decoder).(string)
			_, again := secondValue(decoder)
			twice = twice || again || names[name]
			names[name] = true
		}
		token(decoder)
		return object{}, twice
	case json.Delim('['):
		for decoder.More() {
			_, again := secondValue(decoder)
			twice = twice || again
		}
		token(decoder)
	}
	return value, twice
}

func secondInteger(value any) (n int64, ok bool) {
	number, ok := value.(json.Number)
	if !ok || strings.ContainsAny(string(number), ".eE") {
		return 0, false
	}
	big, ok := new(big.Int).SetString(string(number), 10)
	return big.Int64(), ok && big.IsInt64()
}

func secondWait(value any) (wait protocol.Wait, ok bool) {
	number, ok := value.(json.Number)
	if !ok {
		return wait, false
	}
	float, err := strconv.ParseFloat(string(number), 64)
	mantissa, _, _ := strings.Cut(strings.ToLower(string(number)), "e")
	switch zero := !strings.ContainsAny(mantissa, "123456789"); {
	case zero:
		return protocol.Seconds(0), true
	case err != nil || number[0] == '-':
		return wait, false
	case float < 1e-12: // before the exponent gets out of hand for a Rat
		return protocol.Seconds(0), true
	case float > 4e9:
		return protocol.Seconds(protocol.MaxWait), true
	}
	exact, _ := new(big.Rat).SetString(string(number))
	exact.Mul(exact, big.NewRat(int64(time.Second), 1))
	ns := new(big.Int).Quo(exact.Num(), exact.Denom())
	return protocol.Seconds(time.Duration(min(ns.Int64(), int64(protocol.MaxWait)))), true
}

// halfSurrogate reports whether valid JSON has an escape for one half of a surrogate pair
// with no other half.
func halfSurrogate(message []byte) bool {
	whole := regexp.MustCompile(`\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\[^u]`)
	half := regexp.MustCompile(`\\u[dD][89a-fA-F]`)
	return half.Match(whole.ReplaceAll(message, []byte(" ")))
}

// slowDepth counts how deep valid JSON is nested.
func slowDepth(message []byte) int {
	deepest, depth := 0, 0
	decoder := json.NewDecoder(bytes.NewReader(message))
	decoder.UseNumber()
	for {
		switch t, err := decoder.Token(); {
		case err != nil:
			return deepest
		case t == json.Delim('{') || t == json.Delim('['):
			depth++
			deepest = max(deepest, depth)
		case t == json.Delim('}') || t == json.Delim(']'):
			depth--
		}
	}
}
