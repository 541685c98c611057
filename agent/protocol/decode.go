package protocol

import "bytes"

// maxCodeBits is the size of an error_code, the same on every machine.
const maxCodeBits = 32

// DecodeRequest decodes one message as a request. The result shares no memory with message.
//
// The error is an *Error. Its reason is BadMessage when message is not one JSON object (RFC 8259)
// in UTF-8, with escapes of whole characters only, nested up to MaxDepth. It is BadRequest when a
// name appears twice in an object, when step_id is missing, or when a field has a wrong type or is
// out of range: the detail describes the first such problem, and StepID, Req and Session are set
// if they could be read. Unknown fields are ignored, and so is a client that is not a name.
func DecodeRequest(message []byte) (Request, error) {
	var req Request
	if readPlain(message, &req) {
		return req, nil
	}
	return decodeRequest(message)
}

// DecodeWhole decodes bytes that are exactly one request, with white space around it, of at most
// maxBytes bytes without that; 0 or less means DefaultMaxMessageBytes. False says that they are
// something else, such as part of a request or several, which needs a Reader. The result shares no
// memory with b.
func DecodeWhole(b []byte, maxBytes int) (Request, bool) {
	if maxBytes <= 0 {
		maxBytes = DefaultMaxMessageBytes
	}
	if len(b) > maxBytes && len(bytes.Trim(b, space)) > maxBytes {
		return Request{}, false
	}
	req, err := DecodeRequest(b) // accepts a whole object only, and white space around it
	return req, err == nil
}

// decodeRequest decodes a message of any form. It is not inlined into DecodeRequest because its
// members would enlarge the stack of every connection.
//
//go:noinline
func decodeRequest(message []byte) (Request, error) {
	var m members
	var req Request
	if bad := m.decode(message, req.set, "step_id"); bad != nil {
		return Request{}, bad
	}
	return req, nil
}

// set decodes one field of the request and returns the problem with it, empty for none.
func (r *Request) set(f field, raw []byte) (problem string) {
	switch f {
	case fieldStepID:
		r.StepID, problem = readInteger("step_id", raw, 64)
	case fieldTimeout:
		r.Timeout, problem = readWait("timeout", raw)
	case fieldInterval:
		r.Interval, problem = readWait("interval", raw)
	case fieldSession:
		r.Session, problem = readSession(raw)
	case fieldReq:
		r.Req, problem = readReq(raw)
	case fieldClient:
		r.Client = readIdentity(raw)
	case fieldData:
		r.Data, problem = readObject("data", raw)
	case fieldDuplicate:
		problem = string(raw)
	}
	return problem
}

// DecodeReply decodes one message as a reply. The result shares no memory with message.
//
// step_id (an integer or null) and error_code are required; an agent older than protocol 1 sends
// nothing else. Unknown reasons are kept and unknown fields ignored. The errors are those of
// DecodeRequest.
func DecodeReply(message []byte) (Reply, error) {
	var m members
	var reply Reply
	if bad := m.decode(message, reply.set, "step_id", "error_code"); bad != nil {
		return Reply{}, bad
	}
	return reply, nil
}

// set decodes one field of the reply and returns the problem with it, empty for none.
func (r *Reply) set(f field, raw []byte) (problem string) {
	switch f {
	case fieldStepID:
		if string(raw) != "null" {
			var id int64
			id, problem = readInteger("step_id", raw, 64)
			r.StepID = &id
		}
	case fieldErrorCode:
		var code int64
		code, problem = readInteger("error_code", raw, maxCodeBits)
		r.ErrorCode = int(code)
	case fieldReq:
		r.Req, problem = readReq(raw)
	case fieldSession:
		r.Session, problem = readText("session", raw)
	case fieldReason:
		var reason string
		reason, problem = readText("reason", raw)
		r.Reason = Reason(reason)
	case fieldDetail:
		r.Detail, problem = readText("detail", raw)
	case fieldEnd:
		r.End = string(raw) == "true"
		if !r.End && string(raw) != "false" {
			problem = "end must be true or false, got " + quote(raw)
		}
	case fieldAgent:
		r.Agent = readIdentity(raw)
	case fieldDuplicate:
		problem = string(raw)
	}
	return problem
}
