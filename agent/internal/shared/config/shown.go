package config

import (
	"encoding/json"
	"strings"
	"time"
)

// leftOut replaces what may be a secret.
const leftOut = "(left out)"

// Shown returns the config as a file has it, for people who may not read the file: without what the
// settings and arguments of validators with a program of their own say, as these may be secrets.
func (c Config) Shown() map[string]any {
	shown := map[string]any{}
	for name, value := range agentSchema().values(&c) {
		if d, ok := value.(time.Duration); ok {
			value = short(d)
		}
		section, key, nested := strings.Cut(name, ".")
		switch {
		case !nested:
			shown[name] = value
		case shown[section] == nil:
			shown[section] = map[string]any{key: value}
		default:
			shown[section].(map[string]any)[key] = value
		}
	}
	validators := []map[string]any{}
	for _, v := range c.Validators {
		validators = append(validators, v.shown())
	}
	shown["validators"] = validators
	clients, listeners := []map[string]any{}, []map[string]any{}
	for _, client := range c.TLS.Clients {
		clients = append(clients, shownRow(tlsClientSchema(), &client))
	}
	for _, l := range c.Listeners {
		listeners = append(listeners, shownRow(listenerSchema(), &l))
	}
	shown["tls"].(map[string]any)["clients"], shown["listeners"] = clients, listeners
	if len(c.ErrorCodes) > 0 {
		shown["error_codes"] = c.ErrorCodes
	}
	return shown
}

// shown returns the validator as a file has it, without what may be a secret.
func (v Validator) shown() map[string]any {
	shown := map[string]any{"name": v.Name, "as": v.As}
	settings := map[string]any{}
	if len(v.Settings) > 0 {
		if err := json.Unmarshal(v.Settings, &settings); err != nil {
			panic(err) // settings are what marshal wrote
		}
		shown["settings"] = settings
	}
	if v.Path == "" {
		return shown
	}
	shown["path"] = v.Path
	for key := range settings {
		settings[key] = leftOut
	}
	if v.Checksum != "" {
		shown["checksum"] = v.Checksum
	}
	if len(v.Args) > 0 {
		shown["args"] = leftOut
	}
	return shown
}
