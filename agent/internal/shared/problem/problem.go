// Package problem writes errors of an HTTP API as problem details, RFC 9457.
package problem

import (
	"encoding/json"
	"net/http"
)

// ContentType is that of Details as JSON.
const ContentType = "application/problem+json"

// Details are why a request failed.
type Details struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Errors are what is wrong with the parts of a request.
	Errors []Part `json:"errors,omitempty"`
}

// A Part is what is wrong with a part of a request, such as "query.limit".
type Part struct {
	Message  string `json:"message"`
	Location string `json:"location"`
}

// Error returns all that is wrong, for people.
func (d Details) Error() string {
	text := d.Detail
	for _, p := range d.Errors {
		text += "; " + p.Location + ": " + p.Message
	}
	return text
}

// Write answers a request with an error.
func Write(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", ContentType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(Details{Title: http.StatusText(status), Status: status, Detail: detail}) // the caller has gone
}
