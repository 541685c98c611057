package eventstream_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/eventstream"
)

const patience = time.Minute

var options = eventstream.Options{Viewers: 2, QueueBytes: 2000, HistoryBytes: 1000, Heartbeat: time.Minute, WriteTime: patience}

// An event is one as a browser gets it.
type event struct{ id, kind, data string }

// A viewer reads a stream as a browser does.
type viewer struct {
	t      *testing.T
	answer *http.Response
	lines  *bufio.Scanner
}

func view(t *testing.T, url, lastID string) *viewer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	return &viewer{t, answer, bufio.NewScanner(answer.Body)}
}

// next returns the next event; zero at the end of the stream.
func (v *viewer) next() (e event) {
	v.t.Helper()
	for v.lines.Scan() {
		name, value, _ := strings.Cut(v.lines.Text(), ": ")
		switch name {
		case "id":
			e.id = value
		case "event":
			e.kind = value
		case "data":
			e.data = value
		case "":
			if e.kind != "" {
				return e
			}
		}
	}
	return event{}
}

func (v *viewer) want(kind, data string) event {
	v.t.Helper()
	e := v.next()
	if e.kind != kind || e.data != data {
		v.t.Fatalf("got %+v, want %s %s", e, kind, data)
	}
	return e
}

func serve(t *testing.T, o eventstream.Options) (*eventstream.Stream, string) {
	t.Helper()
	s := eventstream.New(o)
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		s.Close()
		server.Close()
	})
	return s, server.URL
}

func publish(t *testing.T, s *eventstream.Stream, n int) {
	t.Helper()
	if err := s.Publish(eventstream.Event{Kind: "change", Body: n}); err != nil {
		t.Fatal(err)
	}
}

// welcome waits for a newcomer and sends it the state.
func welcome(t *testing.T, s *eventstream.Stream, state ...int) {
	t.Helper()
	for deadline := time.Now().Add(patience); !s.Newcomers(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no viewer came")
		}
	}
	var events []eventstream.Event
	for _, n := range state {
		events = append(events, eventstream.Event{Kind: "state", Body: n})
	}
	if err := s.Welcome(events...); err != nil {
		t.Fatal(err)
	}
}

func TestStateComesFirst(t *testing.T) {
	s, url := serve(t, options)
	if s.Watched() {
		t.Error("watched without a viewer")
	}
	publish(t, s, 1)
	v := view(t, url, "")
	if got := v.answer.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("content type %s", got)
	}
	welcome(t, s, 1)
	publish(t, s, 2)
	v.want("state", "1")
	v.want("change", "2")
	if !s.Watched() {
		t.Error("not watched")
	}
}

// TestHalfAState: only the last event of a state has an id, so that a viewer whose connection breaks
// before gets all of it again.
func TestHalfAState(t *testing.T) {
	s, url := serve(t, options)
	publish(t, s, 1)
	v := view(t, url, "")
	welcome(t, s, 1, 2, 3)
	if first, second := v.want("state", "1"), v.want("state", "2"); first.id != "" || second.id != "" {
		t.Errorf("ids %q and %q within a state", first.id, second.id)
	}
	if last := v.want("state", "3"); last.id == "" {
		t.Error("the state has no id")
	}
}

// A viewer that connects again misses nothing and gets nothing twice, while the stream holds what
// followed; else it gets the state.
func TestLastEventID(t *testing.T) {
	s, url := serve(t, options)
	v := view(t, url, "")
	welcome(t, s, 0)
	publish(t, s, 1)
	v.want("state", "0")
	last := v.want("change", "1").id
	publish(t, s, 2)
	publish(t, s, 3)
	again := view(t, url, last)
	again.want("change", "2")
	again.want("change", "3")
	if err := again.answer.Body.Close(); err != nil {
		t.Fatal(err)
	}
	for n := range 100 {
		publish(t, s, 4+n)
	}
	other, otherURL := serve(t, options)
	for _, tt := range []struct {
		name, url, id string
		s             *eventstream.Stream
	}{
		{"too old", url, last, s},
		{"of another process", otherURL, last, other},
		{"not one of ours", otherURL, "x-1", other},
		{"of the future", otherURL, strings.Replace(last, "-1", "-999", 1), other},
	} {
		for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) { // the place of the one that has gone
			v := view(t, tt.url, tt.id)
			if v.answer.StatusCode == http.StatusOK {
				welcome(t, tt.s, 7)
				if e := v.next(); e.kind != "state" {
					t.Errorf("%s: got %+v, want the state", tt.name, e)
				}
				_ = v.answer.Body.Close()
				break
			}
			if time.Now().After(deadline) {
				t.Fatal(tt.name, v.answer.Status)
			}
		}
	}
}

// A viewer that reads nothing loses events, is told how many, and gets the state. Publish does not wait for it.
func TestSlowViewer(t *testing.T) {
	s, url := serve(t, options)
	v := view(t, url, "")
	welcome(t, s, 0)
	v.want("state", "0")
	body := strings.Repeat("x", 1500)
	const events = 20000 // more than the buffers of both sockets hold
	for range events {
		if err := s.Publish(eventstream.Event{Kind: "change", Body: body}); err != nil {
			t.Fatal(err)
		}
	}
	var got, lost int
	for lost == 0 {
		if s.Newcomers() {
			if err := s.Welcome(eventstream.Event{Kind: "state", Body: 9}); err != nil {
				t.Fatal(err)
			}
		}
		switch e := v.next(); e.kind {
		case "change":
			got++
		case "lost":
			var told struct{ Events int }
			if err := json.Unmarshal([]byte(e.data), &told); err != nil {
				t.Fatal(err)
			}
			lost = told.Events
		default:
			t.Fatalf("got %+v", e)
		}
	}
	if got+lost != events {
		t.Errorf("%d read and %d lost of %d", got, lost, events)
	}
	v.want("state", "9")
	publish(t, s, 1)
	v.want("change", "1")
}

func TestLimitAndClose(t *testing.T) {
	s, url := serve(t, options)
	first, second := view(t, url, ""), view(t, url, "")
	third := view(t, url, "")
	if third.answer.StatusCode != http.StatusServiceUnavailable || third.answer.Header.Get("Retry-After") == "" {
		t.Errorf("the third viewer got %s", third.answer.Status)
	}
	s.Close()
	for i, v := range []*viewer{first, second} {
		if e := v.next(); e != (event{}) {
			t.Errorf("viewer %d got %+v after the end", i, e)
		}
	}
	if late := view(t, url, ""); late.answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a viewer after the end got %s", late.answer.Status)
	}
}

// After a break every viewer gets the state, also one that connects again with the last event's id.
func TestBreak(t *testing.T) {
	s, url := serve(t, options)
	select {
	case <-s.Arrivals():
		t.Error("a viewer has come before any did")
	default:
	}
	v := view(t, url, "")
	<-s.Arrivals()
	welcome(t, s, 0)
	publish(t, s, 1)
	v.want("state", "0")
	last := v.want("change", "1").id
	s.Break()
	again := view(t, url, last)
	<-s.Arrivals()
	welcome(t, s, 2)
	publish(t, s, 3)
	for _, v := range []*viewer{v, again} {
		v.want("state", "2")
		v.want("change", "3")
	}
	s.SetLimits(s.Viewers(), patience)
	if third := view(t, url, ""); third.answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the third viewer got %s", third.answer.Status)
	}
}

func TestHeartbeat(t *testing.T) {
	quick := options
	quick.Heartbeat = time.Millisecond
	s, url := serve(t, quick)
	v := view(t, url, "")
	for beats := 0; beats < 3; {
		if !v.lines.Scan() {
			t.Fatal("the stream ended")
		}
		if v.lines.Text() == ":" {
			beats++
		}
	}
	s.Close()
}

// FuzzLastEventID: whatever a viewer sends, it gets what followed an event of this stream, or the state.
func FuzzLastEventID(f *testing.F) {
	for _, id := range []string{"", "-", "x-1", "-1", "1", "x-18446744073709551615", "x--1", "x-1-1"} {
		f.Add(id)
	}
	s := eventstream.New(options)
	for n := range 3 {
		if err := s.Publish(eventstream.Event{Kind: "change", Body: n}); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, id string) {
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
		r.Header.Set("Last-Event-ID", id)
		leave()
		w := httptest.NewRecorder()
		s.ServeHTTP(recorder{w}, r)
		if strings.Contains(w.Body.String(), "event: ") {
			t.Errorf("after %q: %s", id, w.Body)
		}
	})
}

// A recorder has the write deadlines of a connection.
type recorder struct{ *httptest.ResponseRecorder }

func (recorder) SetWriteDeadline(time.Time) error { return nil }
