package api

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
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
	Filter string `query:"filter" maxLength:"256" doc:"Text that the session's id, its client's address or its client's identity contains"`
	Limit  int    `query:"limit" default:"1000" minimum:"1" maximum:"10000" doc:"How many sessions to return at most"`
}

type sessionInput struct {
	Name string `path:"name" doc:"The session's id, or its name if the sessions of one client alone have it"`
}

// addSessions adds what shows and ends sessions.
func addSessions(d *document, sessions *session.Manager) {
	get(d, "sessions", Prefix+"/sessions", "List the open sessions", nil, func(_ context.Context, in *listInput) (SessionList, error) {
		list, total := oldest(matching(sessions.Views(), in.Filter), in.Limit)
		return SessionList{list, total}, nil
	})
	errs := []int{http.StatusNotFound, http.StatusConflict}
	get(d, "session", Prefix+"/sessions/{name}", "Show an open session", errs,
		func(_ context.Context, in *sessionInput) (session.View, error) {
			return find(sessions, in.Name)
		})
	huma.Register(d, huma.Operation{OperationID: "end-session", Method: http.MethodPost, Path: Prefix + "/sessions/{name}/end",
		Summary: "End an open session as incomplete", DefaultStatus: http.StatusNoContent, Errors: errs},
		func(_ context.Context, in *sessionInput) (*none, error) {
			view, err := find(sessions, in.Name)
			if err == nil && !sessions.EndSession(view.ID) {
				err = errNoSession(in.Name)
			}
			return nil, err
		})
}

// find returns the open session that has the id, or else the only one that has the name. Sessions of
// several owners may have one name.
func find(sessions *session.Manager, name string) (session.View, error) {
	if view, ok := sessions.View(name); ok {
		return view, nil
	}
	hasName := func(v session.View) bool { return auditlog.SessionName(v.ID) == name }
	found, total := oldest(selected(sessions.Views(), hasName), maxNamed)
	switch total {
	case 0:
		return session.View{}, errNoSession(name)
	case 1:
		return found[0], nil
	}
	var ids []string
	for _, v := range found {
		ids = append(ids, v.ID)
	}
	if total > len(ids) {
		ids = append(ids, "...")
	}
	return session.View{}, huma.Error409Conflict(fmt.Sprintf("%d sessions with the name %s are open: %s; give the id of one",
		total, name, strings.Join(ids, ", ")))
}

// maxNamed is how many sessions of one name an error lists.
const maxNamed = 10

func errNoSession(name string) error {
	return huma.Error404NotFound("no session " + name + " is open")
}

// matching returns the sessions whose id, client or identity contains the text.
func matching(views iter.Seq[session.View], text string) iter.Seq[session.View] {
	return selected(views, func(v session.View) bool {
		return strings.Contains(v.ID, text) || strings.Contains(v.Client, text) || strings.Contains(v.Identity, text)
	})
}

func selected(views iter.Seq[session.View], wanted func(session.View) bool) iter.Seq[session.View] {
	return func(yield func(session.View) bool) {
		for v := range views {
			if wanted(v) && !yield(v) {
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
