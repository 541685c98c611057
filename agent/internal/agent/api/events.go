package api

import (
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
)

// The kinds of events. A viewer that read too slowly also gets one of the kind lost.
const (
	eventStart  = "start"
	eventStatus = "status"
	eventChange = "change"
)

// A Start says that the whole state follows: a Status, and Changes with the open sessions.
type Start struct {
	SessionsLeftOut int `json:"sessions_left_out" doc:"Open sessions past those that follow"`
}

// A Change is what has happened since the last one.
type Change struct {
	Time      time.Time         `json:"time"`
	Uptime    jsonl.Seconds     `json:"uptime_seconds" doc:"Time since the start of the agent, which no step of the clock changes"`
	Sessions  []session.View    `json:"sessions,omitempty" doc:"Sessions that have changed or ended, as they are now"`
	Waiting   int               `json:"waiting,omitempty" doc:"Sessions whose change comes with a later event"`
	LeftOut   int               `json:"left_out,omitempty" doc:"Sessions that have ended without having been in an event"`
	Failures  []session.Failure `json:"failures,omitempty" doc:"The last steps that did not pass, the latest last"`
	Passed    uint64            `json:"passed" doc:"Steps since the start of the agent"`
	Failed    uint64            `json:"failed" doc:"Steps since the start of the agent"`
	Undecided uint64            `json:"undecided" doc:"Steps since the start of the agent"`
	// FailuresLeftOut counts failures since the last change that are not in Failures.
	FailuresLeftOut uint64        `json:"failures_left_out,omitempty" doc:"Further steps that did not pass"`
	Median          jsonl.Seconds `json:"median_seconds,omitempty" doc:"Time from a request to its reply: median since the last event; absent without steps"`
	P99             jsonl.Seconds `json:"p99_seconds,omitempty" doc:"The same: the 99th percentile"`
}

// A Lost tells a viewer that it read too slowly. The whole state follows.
type Lost struct {
	Events int `json:"events" doc:"Events that were left out"`
}

// addEvents adds the stream of events.
func addEvents(d *document, events http.Handler) {
	var kinds []*huma.Schema
	schemas := d.OpenAPI().Components.Schemas
	for _, kind := range []struct {
		name string
		data *huma.Schema
	}{
		{eventStart, huma.SchemaFromType(schemas, reflect.TypeFor[Start]())},
		{eventStatus, schemas.Schema(reflect.TypeFor[Status](), true, "")},
		{eventChange, schemas.Schema(reflect.TypeFor[Change](), true, "")},
		{"lost", huma.SchemaFromType(schemas, reflect.TypeFor[Lost]())},
	} {
		kinds = append(kinds, &huma.Schema{Title: kind.name, Type: huma.TypeObject, Required: []string{"event", "data"},
			Properties: map[string]*huma.Schema{
				"id":    {Type: huma.TypeString, Description: "For Last-Event-ID"},
				"event": {Type: huma.TypeString, Enum: []any{kind.name}},
				"data":  kind.data,
			}})
	}
	d.plain(huma.Operation{OperationID: "events", Path: Prefix + "/events", Summary: "Follow what happens",
		Description: "Server-sent events. A viewer gets start and the whole state, then changes. One that connects again with " +
			"Last-Event-ID continues where it was if the agent still holds what followed.",
		Parameters: []*huma.Param{{Name: "Last-Event-ID", In: "header", Schema: &huma.Schema{Type: huma.TypeString}}},
		Responses: map[string]*huma.Response{"200": {Description: "Events until the viewer disconnects",
			Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{OneOf: kinds}}}}}},
	}, events)
}
