package api_test

import (
	"strings"
	"testing"
)

// TestDescriptionFits: what is served is as the description says, and the description has all paths.
func TestDescriptionFits(t *testing.T) {
	t.Parallel()
	url := serve(t, &agent{}, nil)
	got := do(t, "GET", url+"/api/v1/openapi.json")
	document := got.body
	if got.header.Get("Content-Type") != "application/openapi+json" || document["openapi"] != "3.1.0" ||
		at(document, "info", "version") != "1.2.3" {
		t.Fatalf("%v: %v", got.header, document["info"])
	}
	paths := document["paths"].(map[string]any)
	for _, path := range []string{
		"/api/v1/status", "/api/v1/validators", "/api/v1/config", "/api/v1/sessions", "/api/v1/sessions/{name}", "/api/v1/events", "/livez", "/readyz",
	} {
		if at(paths, path, "get", "summary") == nil {
			t.Errorf("GET %s is not described", path)
		}
	}
	for _, path := range []string{"/api/v1/reload", "/api/v1/sessions/{name}/end"} {
		if at(paths, path, "post", "summary") == nil {
			t.Errorf("POST %s is not described", path)
		}
	}
	for _, path := range []string{"/api/v1/status", "/api/v1/validators", "/api/v1/config", "/api/v1/sessions"} {
		schema := at(paths, path, "get", "responses", "200", "content", "application/json", "schema")
		fits(t, document, path, do(t, "GET", url+path).body, schema)
	}
}

// at returns a member of a tree of objects; nil for none.
func at(tree any, names ...string) any {
	for _, name := range names {
		object, _ := tree.(map[string]any)
		tree = object[name]
	}
	return tree
}

// fits checks that a value has the type that its schema says and, if it is an object, all members that
// must be there and no other ones.
func fits(t *testing.T, document map[string]any, path string, value, schema any) {
	t.Helper()
	if ref, ok := at(schema, "$ref").(string); ok {
		schema = at(document, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
	types, ok := at(schema, "type").([]any)
	if !ok {
		types = []any{at(schema, "type")}
	}
	is := map[any]bool{}
	for _, name := range types {
		is[name] = true
	}
	switch v := value.(type) {
	case map[string]any:
		if !is["object"] {
			t.Errorf("%s is an object, described as %v", path, types)
		}
		properties, _ := at(schema, "properties").(map[string]any)
		for name, member := range v {
			if properties == nil {
				continue // any
			}
			if properties[name] == nil {
				t.Errorf("%s.%s is not described", path, name)
				continue
			}
			fits(t, document, path+"."+name, member, properties[name])
		}
		required, _ := at(schema, "required").([]any)
		for _, name := range required {
			if _, ok := v[name.(string)]; !ok {
				t.Errorf("%s.%s is missing", path, name)
			}
		}
	case []any:
		if !is["array"] {
			t.Errorf("%s is a list, described as %v", path, types)
		}
		for _, element := range v {
			fits(t, document, path+"[]", element, at(schema, "items"))
		}
	case string:
		if !is["string"] {
			t.Errorf("%s is a string, described as %v", path, types)
		}
	case float64:
		if !is["number"] && !is["integer"] {
			t.Errorf("%s is a number, described as %v", path, types)
		}
	case bool:
		if !is["boolean"] {
			t.Errorf("%s is a boolean, described as %v", path, types)
		}
	case nil:
		if !is["null"] {
			t.Errorf("%s is null, described as %v", path, types)
		}
	}
}
