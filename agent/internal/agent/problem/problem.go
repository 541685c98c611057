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
}

// Write answers a request with an error.
func Write(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", ContentType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(Details{http.StatusText(status), status, detail}) // the caller has gone
}
