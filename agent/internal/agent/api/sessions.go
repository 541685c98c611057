package api

import (
	"cmp"
	"context"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
)

// maxSessions is how many sessions one answer has at most.
const maxSessions = 10000

// A SessionList is an answer with sessions.
type SessionList struct {
	Sessions []session.View `json:"sessions" doc:"The open sessions that fit the filter, oldest first"`
	// Total is how many fit the filter.
	Total int `json:"total" doc:"How many sessions fit the filter"`
}

type listInput struct {
	Filter string `query:"filter" maxLength:"256" doc:"Text that the session's id or its client's address contains"`
	Limit  int    `query:"limit" default:"1000" minimum:"1" maximum:"10000" doc:"How many sessions to return at most"`
}

type sessionInput struct {
	Name string `path:"name" doc:"The session's name, or the id that the agent gave it"`
}

// addSessions adds what shows and ends sessions.
func addSessions(d *document, sessions *session.Manager) {
	get(d, "sessions", Prefix+"/sessions", "List the open sessions", nil, func(_ context.Context, in *listInput) (SessionList, error) {
		list, total := oldest(matching(sessions.Views(), in.Filter), in.Limit)
		return SessionList{list, total}, nil
	})
	get(d, "session", Prefix+"/sessions/{name}", "Show an open session", []int{http.StatusNotFound},
		func(_ context.Context, in *sessionInput) (session.View, error) {
			view, ok := sessions.View(in.Name)
			if !ok {
				return view, errNoSession(in.Name)
			}
			return view, nil
		})
	huma.Register(d, huma.Operation{OperationID: "end-session", Method: http.MethodPost, Path: Prefix + "/sessions/{name}/end",
		Summary: "End an open session as incomplete", DefaultStatus: http.StatusNoContent, Errors: []int{http.StatusNotFound}},
		func(_ context.Context, in *sessionInput) (*none, error) {
			if !sessions.EndSession(in.Name) {
				return nil, errNoSession(in.Name)
			}
			return nil, nil
		})
}

func errNoSession(name string) error {
	return huma.Error404NotFound("no session " + name + " is open")
}

// matching returns the sessions whose id or client contains the text.
func matching(views iter.Seq[session.View], text string) iter.Seq[session.View] {
	return func(yield func(session.View) bool) {
		for v := range views {
			if (strings.Contains(v.ID, text) || strings.Contains(v.Client.String(), text)) && !yield(v) {
				return
			}
		}
	}
}

// oldest returns the limit oldest sessions, oldest first, and how many there are. It holds twice the
// limit at most.
func oldest(views iter.Seq[session.View], limit int) (list []session.View, total int) {
	list = []session.View{} // an empty list in JSON
	for v := range views {
		total++
		if list = append(list, v); len(list) >= 2*limit {
			list = first(list, limit)
		}
	}
	return first(list, limit), total
}

// first sorts the sessions and returns the first ones.
func first(list []session.View, limit int) []session.View {
	slices.SortFunc(list, func(a, b session.View) int {
		return cmp.Or(a.Began.Compare(b.Began), strings.Compare(a.ID, b.ID))
	})
	return list[:min(len(list), limit)]
}
