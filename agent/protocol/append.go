package protocol

import (
	"bytes"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// AppendRequest appends the request as a client sends it, with a newline at the end. It does not check
// values, so that a client can also send what the agent must refuse. Data must be a JSON object.
func AppendRequest(dst []byte, r Request) []byte {
	dst = append(dst, `{"step_id":`...)
	dst = strconv.AppendInt(dst, r.StepID, 10)
	dst = appendWait(dst, `,"timeout":`, r.Timeout)
	dst = appendWait(dst, `,"interval":`, r.Interval)
	dst = appendText(dst, `,"session":`, r.Session)
	dst = appendReq(dst, r.Req)
	dst = appendText(dst, `,"client":`, r.Client)
	if r.Data != nil {
		dst = append(dst, `,"data":`...)
		dst = append(dst, r.Data...)
	}
	return append(dst, "}\n"...)
}

// AppendReply appends the reply as the agent sends it, with a newline at the end. Bytes that are not
// UTF-8 become U+FFFD.
func AppendReply(dst []byte, r Reply) []byte {
	dst = append(dst, `{"step_id":`...)
	if r.StepID != nil {
		dst = strconv.AppendInt(dst, *r.StepID, 10)
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(dst, `,"error_code":`...)
	dst = strconv.AppendInt(dst, int64(r.ErrorCode), 10)
	dst = appendReq(dst, r.Req)
	dst = appendText(dst, `,"session":`, r.Session)
	dst = appendText(dst, `,"reason":`, string(r.Reason))
	dst = appendText(dst, `,"detail":`, r.Detail)
	if r.End {
		dst = append(dst, `,"end":true`...)
	}
	dst = appendText(dst, `,"agent":`, r.Agent)
	return append(dst, "}\n"...)
}

func appendReq(dst []byte, r ReqID) []byte {
	if r.IsZero() {
		return dst
	}
	return r.append(append(dst, `,"req":`...))
}

// append appends the value of a ReqID that is not zero.
func (r ReqID) append(dst []byte) []byte {
	if r.kind == reqText {
		return appendString(dst, r.text)
	}
	return strconv.AppendInt(dst, r.num, 10)
}

// appendText appends a member unless its value is empty.
func appendText(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendString(append(dst, name...), value)
}

// appendWait appends a member unless the wait is absent.
func appendWait(dst []byte, name string, w Wait) []byte {
	if !w.Declared {
		return dst
	}
	return appendSeconds(append(dst, name...), w.Duration)
}

// appendString appends a JSON string.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			// The error only says that bytes were replaced.
			dst, _ = jsontext.AppendQuote(dst, s)
			return dst
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// appendSeconds appends a number of seconds, exact to the nanosecond, without an exponent or
// trailing zeros.
func appendSeconds(dst []byte, d time.Duration) []byte {
	const second = uint64(time.Second)
	ns := uint64(d)
	if d < 0 {
		dst = append(dst, '-')
		ns = -ns
	}
	dst = strconv.AppendUint(dst, ns/second, 10)
	if ns%second == 0 {
		return dst
	}
	// The leading 1 becomes the point: adding a second keeps the leading zeros of the fraction.
	point := len(dst)
	dst = strconv.AppendUint(dst, second+ns%second, 10)
	dst[point] = '.'
	return bytes.TrimRight(dst, "0")
}
