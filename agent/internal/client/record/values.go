package record

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/stepagent/stepagent/agent/protocol"
)

// marshalers and unmarshalers are for the values that have a form of their own in the
// record: durations are seconds, and replies and reqs look as they do on the wire.

func marshalers() json.Options {
	return json.JoinOptions(json.Deterministic(true), json.WithMarshalers(json.JoinMarshalers(
		json.MarshalFunc(formatSeconds),
		json.MarshalFunc(formatReq),
		json.MarshalFunc(func(r *protocol.Reply) ([]byte, error) {
			return bytes.TrimSpace(protocol.AppendReply(nil, *r)), nil
		}),
		json.MarshalFunc(func(p *Procedure) ([]byte, error) { return encodeObject(p, procedureFields()) }),
		json.MarshalFunc(func(s *Step) ([]byte, error) { return encodeObject(s, stepFields()) }),
	)))
}

func unmarshalers() json.Options {
	return json.WithUnmarshalers(json.JoinUnmarshalers(
		json.UnmarshalFunc(parseSeconds),
		json.UnmarshalFunc(parseReq),
		json.UnmarshalFunc(func(raw []byte, r *protocol.Reply) (err error) {
			*r, err = protocol.DecodeReply(raw)
			return err
		}),
		json.UnmarshalFunc(func(raw []byte, p *Procedure) error { return decodeObject(raw, p, procedureFields()) }),
		json.UnmarshalFunc(func(raw []byte, s *Step) error { return decodeObject(raw, s, stepFields()) }),
	))
}

// formatSeconds writes a duration as a decimal number of seconds, exactly.
func formatSeconds(d time.Duration) ([]byte, error) {
	if d < 0 {
		return nil, fmt.Errorf("%s is negative", d)
	}
	whole := strconv.AppendInt(nil, int64(d/time.Second), 10)
	if d%time.Second == 0 {
		return whole, nil
	}
	return bytes.TrimRight(fmt.Appendf(whole, ".%09d", d%time.Second), "0"), nil
}

// parseSeconds reads what formatSeconds writes.
func parseSeconds(raw []byte, d *time.Duration) error {
	_, fraction, _ := strings.Cut(string(raw), ".")
	parsed, err := time.ParseDuration(string(raw) + "s")
	if err != nil || parsed < 0 || len(fraction) > 9 {
		return fmt.Errorf("%.40s is no number of seconds: not negative, at most nine decimals, no exponent", raw)
	}
	*d = parsed
	return nil
}

// formatReq and parseReq leave the form of a req to the protocol, where it is a member of a
// reply.

func formatReq(r protocol.ReqID) ([]byte, error) {
	members, err := decodeMembers(protocol.AppendReply(nil, protocol.Reply{Req: r}))
	return members["req"], err
}

func parseReq(raw []byte, r *protocol.ReqID) error {
	reply, err := protocol.DecodeReply(fmt.Appendf(nil, `{"step_id":null,"error_code":0,"req":%s}`, raw))
	var wrong *protocol.Error
	if errors.As(err, &wrong) {
		return errors.New(wrong.Detail)
	}
	*r = reply.Req
	return err
}
