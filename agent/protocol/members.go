package protocol

// field is a field of a message that this package knows.
type field uint8

const (
	fieldStepID field = iota
	fieldTimeout
	fieldInterval
	fieldSession
	fieldReq
	fieldData
	fieldErrorCode
	fieldReason
	fieldDetail
	fieldEnd
	fieldClient
	fieldAgent
	// fieldUnknown is every other name.
	fieldUnknown
	// fieldDuplicate is not a field: its place is that of the first duplicate name, its value the
	// problem.
	fieldDuplicate

	fieldCount = int(iota)
)

func fieldOf(name []byte) field {
	switch string(name) {
	case "step_id":
		return fieldStepID
	case "timeout":
		return fieldTimeout
	case "interval":
		return fieldInterval
	case "session":
		return fieldSession
	case "req":
		return fieldReq
	case "data":
		return fieldData
	case "error_code":
		return fieldErrorCode
	case "reason":
		return fieldReason
	case "detail":
		return fieldDetail
	case "end":
		return fieldEnd
	case "client":
		return fieldClient
	case "agent":
		return fieldAgent
	default:
		return fieldUnknown
	}
}

// members is one message, split into the fields that this package knows.
type members struct {
	// value is the JSON of each field, part of the message; nil when the field is absent.
	value [fieldCount][]byte
	// repeated marks the duplicate fields. Their value is the first.
	repeated [fieldCount]bool
	// order[:count] are the fields in the order of the message.
	order [fieldCount]field
	count int
}

// has reports whether a field is present exactly once.
func (m *members) has(f field) bool { return m.value[f] != nil && !m.repeated[f] }

// decode parses a message into m, which must be zero, and passes each field to set, which returns
// the problem with it, if any. The error describes the first problem, or else the first of the
// required fields that is missing.
func (m *members) decode(message []byte, set func(field, []byte) string, required ...string) *Error {
	if bad := m.parse(message); bad != nil {
		return bad
	}
	first := ""
	for _, f := range m.order[:m.count] {
		if problem := set(f, m.value[f]); first == "" {
			first = problem
		}
	}
	for _, name := range required {
		if first == "" && !m.has(fieldOf([]byte(name))) {
			first = name + " is missing"
		}
	}
	if first == "" {
		return nil
	}
	return m.badRequest(first)
}

// badRequest returns an error with what can be read of the message.
func (m *members) badRequest(detail string) *Error {
	e := &Error{Reason: BadRequest, Detail: detail}
	if m.has(fieldStepID) {
		if id, problem := readInteger("step_id", m.value[fieldStepID], 64); problem == "" {
			e.StepID = &id
		}
	}
	if m.has(fieldReq) {
		e.Req, _ = readReq(m.value[fieldReq])
	}
	if m.has(fieldSession) {
		e.Session, _ = readSession(m.value[fieldSession])
	}
	return e
}
