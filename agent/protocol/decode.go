package protocol

// maxCodeBits is the size of an error_code, so that it is the same number on every machine.
const maxCodeBits = 32

// DecodeRequest decodes one message as a request. Nothing in the result is part of message.
//
// The error is an *Error. Its reason is BadMessage when message is no JSON object as RFC
// 8259 has it, in UTF-8, with escapes that stand for whole characters, and no deeper than
// MaxDepth. It is BadRequest when a name appears twice anywhere in message, when step_id is
// missing, or when a field is of a wrong type or out of its range; the detail is about the
// first such fault in the message, while step_id, req and session are given if they can be
// read. Unknown fields are ignored, and so is a client that is no name.
func DecodeRequest(message []byte) (Request, error) {
	var req Request
	if readPlain(message, &req) {
		return req, nil
	}
	return decodeRequest(message)
}

// decodeRequest decodes a message of any form. It is apart from DecodeRequest for the sake of
// the stack, which is that of every connection.
//
//go:noinline
func decodeRequest(message []byte) (Request, error) {
	var m members
	if bad := m.parse(message); bad != nil {
		return Request{}, bad
	}
	var (
		req   Request
		first string // what is wrong, the first of it
	)
	for _, f := range m.fields() {
		problem := req.set(f, m.value[f])
		if first == "" {
			first = problem
		}
	}
	if first == "" && !m.has(fieldStepID) {
		first = "step_id is missing"
	}
	if first == "" {
		return req, nil
	}
	bad := &Error{Reason: BadRequest, Detail: first}
	bad.identify(&m)
	return Request{}, bad
}

// set reads one field into the request and returns what is wrong with it.
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

// identify gives the error what can be read of the message that it is about.
func (e *Error) identify(m *members) {
	if m.has(fieldStepID) {
		if id, problem := readInteger("step_id", m.value[fieldStepID], 64); problem == "" {
			e.StepID = &id
		}
	}
	if m.has(fieldReq) {
		e.Req, _ = readReq(m.value[fieldReq]) // none when it cannot be read
	}
	if m.has(fieldSession) {
		e.Session, _ = readSession(m.value[fieldSession]) // empty when it cannot be read
	}
}

// DecodeReply decodes one message as a reply. Nothing in the result is part of message.
//
// step_id (an integer or null) and error_code are required; an agent older than protocol 1
// sends no more. A reason that this package does not know is kept as it is, and unknown
// fields are ignored. The errors are those of DecodeRequest.
func DecodeReply(message []byte) (Reply, error) {
	var m members
	if bad := m.parse(message); bad != nil {
		return Reply{}, bad
	}
	var (
		reply Reply
		first string
	)
	for _, f := range m.fields() {
		problem := reply.set(f, m.value[f])
		if first == "" {
			first = problem
		}
	}
	switch {
	case first != "":
	case !m.has(fieldStepID):
		first = "step_id is missing"
	case !m.has(fieldErrorCode):
		first = "error_code is missing"
	default:
		return reply, nil
	}
	bad := &Error{Reason: BadRequest, Detail: first}
	bad.identify(&m)
	return Reply{}, bad
}

// set reads one field into the reply and returns what is wrong with it.
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
