package pluginhost

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/stepagent/stepagent/plugins/sdk"
	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
)

// onDataPath begins the kinds of rogues that have a data path and break the contract there.
const onDataPath = "data:"

// OpenDataPath is that of a rogue: a server of its own, with the generated code.
func (p *roguePlugin) OpenDataPath(context.Context, *validatorv1.OpenDataPathRequest) (*validatorv1.OpenDataPathResponse, error) {
	dir := os.Getenv("PLUGIN_UNIX_SOCKET_DIR")
	offer := &validatorv1.OpenDataPathResponse{Socket: filepath.Join(dir, "data"), Token: make([]byte, sdk.TokenBytes)}
	switch {
	case !p.data:
		return nil, status.Error(codes.Unimplemented, "")
	case p.rogue == "no-socket":
		return offer, nil
	case p.rogue == "short-token":
		offer.Token = offer.Token[1:]
	case p.rogue == "elsewhere":
		offer.Socket = filepath.Join(dir, "..", "data")
	case p.rogue == "fails":
		return nil, status.Error(codes.Internal, "out of \x1b sockets")
	}
	listener, err := net.Listen("unix", offer.Socket)
	if err != nil {
		return nil, err
	}
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_ = p.serveData(conn)
			_ = conn.Close()
		}
		_ = listener.Close()
	}()
	return offer, nil
}

func (p *roguePlugin) serveData(conn net.Conn) error {
	if _, err := io.ReadFull(conn, make([]byte, sdk.TokenBytes)); err != nil {
		return err
	}
	for {
		message, err := sdk.ReadFrame(conn, nil)
		if err != nil {
			return err
		}
		request := new(validatorv1.JudgeRequest)
		if err := proto.Unmarshal(message, request); err != nil {
			return err
		}
		probed := false
		for _, call := range request.GetCalls() {
			probed = call.GetSession().GetId() == probeSession
			for p.rogue == "answers-nothing" && !probed {
				if _, err := conn.Write(make([]byte, sdk.FrameHeaderBytes)); err != nil {
					return err
				}
			}
			for _, answer := range p.answers(call) {
				if err := p.sendData(conn, answer, probed); err != nil {
					return err
				}
			}
		}
		if p.rogue == "ends-the-stream" && !probed {
			return nil
		}
	}
}

func (p *roguePlugin) sendData(conn net.Conn, answer *validatorv1.StepVerdicts, probed bool) error {
	message, err := proto.Marshal(&validatorv1.JudgeResponse{Answers: []*validatorv1.StepVerdicts{answer}})
	if err != nil {
		return err
	}
	switch {
	case probed:
	case p.rogue == "garbage":
		message = []byte("\x0a\x7f not a message")
	case p.rogue == "half-a-frame":
		_, err := conn.Write([]byte{0, 0, 1, 0, 1})
		_ = conn.Close()
		return err
	}
	frame := append(make([]byte, sdk.FrameHeaderBytes), message...)
	sdk.SealFrame(frame)
	_, err = conn.Write(frame)
	return err
}

func TestWhatBreaksTheContractOnTheDataPathIsReplaced(t *testing.T) {
	h, _ := newTestHost(t, atOnce)
	for kind, want := range map[string]string{
		"too-many-verdicts": "it gave 2 verdicts for 1 validators",
		"no-verdicts":       "it gave 0 verdicts for 1 validators",
		"unknown-call":      "it answered call 1002, which is not open",
		"answers-twice":     "it answered call 2, which is not open",
		"huge-answer":       "the plugin broke the contract: a message of 4194",
		"garbage":           "the plugin broke the contract: malformed message",
		"half-a-frame":      "the plugin broke the contract: unexpected EOF",
		"answers-nothing":   "it floods the agent with messages that answer nothing",
		"ends-the-stream":   "the plugin's stream ended",
		"floods-frames":     "it floods the agent with frames that belong to no message",
	} {
		t.Run(kind, func(t *testing.T) {
			set := startSet(t, h, Spec{Name: "a", Validator: "v", Path: self(t), Args: []string{"plugin", onDataPath + kind}})
			within(t, patience, set.Groups()[0], 1)
			eventually(t, "another process serves", func() bool { return set.Status()[0].Restarts > 0 })
			if st := set.Status()[0]; !strings.Contains(st.LastError, want) {
				t.Errorf("status = %+v, want %q", st, want)
			}
		})
	}
}

func TestADataPathThatCannotBe(t *testing.T) {
	h, _ := newTestHost(t, nil)
	for kind, want := range map[string]string{
		"no-socket":   "its data path: dial unix",
		"short-token": "without a token of 32 bytes",
		"elsewhere":   "not in its directory",
		"fails":       `OpenDataPath: out of \x1b sockets`,
	} {
		_, err := h.Start(t.Context(), []Spec{{Name: "a", Validator: "v", Path: self(t), Args: []string{"plugin", onDataPath + kind}}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", kind, err, want)
		}
	}
}

func TestAMalformedVerdictOnTheDataPathIsUndecided(t *testing.T) {
	h, _ := newTestHost(t, nil)
	for kind, want := range map[string]string{
		"outcome-7":  "malformed verdict: outcome: 7 is neither pass nor fail",
		"huge-state": "malformed verdict: state: 4097 bytes, at most 4096 are allowed",
	} {
		set := startSet(t, h, Spec{Name: "a", Validator: "v", Path: self(t), Args: []string{"plugin", onDataPath + kind}})
		a := within(t, patience, set.Groups()[0], 1)[0]
		if a.Err == nil || a.Err.Error() != want {
			t.Errorf("got %+v, want %s", a, want)
		}
	}
}
