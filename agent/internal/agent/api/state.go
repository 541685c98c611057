package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Settings are the config in force.
type Settings struct {
	// Files are those that it was read from; none for the defaults.
	Files []string `json:"files" doc:"The files that the config was read from, in the order in which they are merged"`
	// Values are the keys as a file has them, without secrets.
	Values map[string]any `json:"settings" doc:"The keys as in a file; what may be a secret is left out"`
}

// Validators are the processes of validators.
type Validators struct {
	Validators []Process `json:"validators" doc:"The processes, in the order of the config"`
}

// addState adds what shows the agent and reloads it.
func addState(d *document, o Options) {
	get(d, "status", Prefix+"/status", "Show the state of the agent", nil, func(context.Context, *none) (Status, error) {
		return o.Agent.Status(), nil
	})
	get(d, "validators", Prefix+"/validators", "List the processes of validators", nil, func(context.Context, *none) (Validators, error) {
		return Validators{o.Agent.Status().Validators}, nil
	})
	get(d, "config", Prefix+"/config", "Show the config in force, without secrets", nil, func(context.Context, *none) (Settings, error) {
		return o.Agent.Settings(), nil
	})
	huma.Register(d, huma.Operation{OperationID: "reload", Method: http.MethodPost, Path: Prefix + "/reload",
		Summary: "Reload the config", Description: "The answer comes after the reload. When the new config is refused, nothing has changed.",
		Errors: []int{http.StatusUnprocessableEntity}},
		func(context.Context, *none) (*body[Status], error) {
			if err := o.Agent.Reload(); err != nil {
				return nil, huma.Error422UnprocessableEntity(err.Error())
			}
			return &body[Status]{o.Agent.Status()}, nil
		})
}
