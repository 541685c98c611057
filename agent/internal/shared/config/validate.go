package config

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/stepagent/stepagent/agent/protocol"
)

// MaxValidators is the number of validators that one config may name.
const MaxValidators = 64

// A finding is a problem of a Config. If several keys contradict each other, the place shown is that
// of the first key that a source sets.
type finding struct {
	keys    []string
	message string
}

// Validate returns all problems of c, as Problems without a place.
func (c Config) Validate() error {
	var problems Problems
	for _, f := range c.findings() {
		problems = append(problems, Problem{Key: f.keys[0], Message: f.message})
	}
	if len(problems) == 0 {
		return nil
	}
	return problems
}

func (c Config) findings() []finding {
	return slices.Concat(c.scalarFindings(), c.conflicts(), c.fleetFindings(), c.tlsFindings(), c.listenerFindings(), c.errorCodeFindings(),
		c.validatorFindings())
}

func (c Config) scalarFindings() (found []finding) {
	agentSchema().fields(&c, func(k *key, field reflect.Value) {
		if err := k.kind.check(field.Interface()); err != nil {
			found = append(found, finding{[]string{k.name}, err.Error()})
		}
	})
	return found
}

// conflicts finds values that are valid alone and contradict each other.
func (c Config) conflicts() (found []finding) {
	add := func(message string, keys ...string) { found = append(found, finding{keys, message}) }
	if c.Judging.Floor > c.Judging.Cap {
		add(fmt.Sprintf("judging.floor is %s, more than judging.cap, %s; lower the floor or raise the cap",
			short(c.Judging.Floor), short(c.Judging.Cap)), "judging.floor", "judging.cap")
	}
	values := agentSchema().values(&c)
	for _, k := range agentSchema().keys {
		each, all := k.name, k.tag.Get("within")
		if all == "" {
			continue
		}
		if one, most := values[each].(int), values[all].(int); one > most {
			add(fmt.Sprintf("%s is %d, more than %s, %d, allows in all; set it to %[4]d or less", each, one, all, most), each, all)
		}
	}
	if file, all := c.Record.FileMiB, c.Record.TotalMiB; 2*file > all {
		add(fmt.Sprintf("record.total_mib is %d, less than two files of record.file_mib, %d; "+
			"write %d or more, or a smaller size of a file", all, file, 2*file), "record.total_mib", "record.file_mib")
	}
	if c.Session.Store == StoreNATS && len(c.NATS.URL) == 0 {
		add("session.store is \"nats\", and there is no NATS; set nats.url to the addresses of its servers, or session.store to \"file\"",
			"session.store", "nats.url")
	}
	if c.Session.KeepsFiles() && c.Record.Enabled && filepath.Clean(c.Session.Dir) == filepath.Clean(c.Record.Dir) {
		add(fmt.Sprintf("session.dir is %s, which is record.dir too; give each a folder of its own", show(c.Session.Dir)),
			"session.dir", "record.dir")
	}
	if c.Admin.Group != "" && c.Admin.Mode == Default().Admin.Mode {
		add(fmt.Sprintf("admin.group is %s, which may not use the socket with admin.mode = %q; set admin.mode to \"0660\"",
			show(c.Admin.Group), c.Admin.Mode), "admin.group", "admin.mode")
	}
	for i, v := range c.Validators {
		if v.Name == faults && v.Path == "" && !c.AllowFaults {
			add("the validator faults makes the agent misbehave, which allow_faults = false forbids; "+
				"set allow_faults to true, or take this validator out", elementPath("validators", i))
		}
	}
	return found
}

func (c Config) errorCodeFindings() (found []finding) {
	for _, reason := range slices.Sorted(maps.Keys(c.ErrorCodes)) {
		name := join("error_codes", string(reason))
		if !slices.Contains(protocol.Sent(), reason) {
			found = append(found, finding{[]string{name}, unknownReason(string(reason))})
		} else if wrong := wrongCode(int64(c.ErrorCodes[reason])); wrong != "" {
			found = append(found, finding{[]string{name}, wrong})
		}
	}
	return found
}

func unknownReason(key string) string {
	var known []string
	for _, r := range protocol.Sent() {
		known = append(known, string(r))
	}
	if hint := didYouMean(key, known); hint != "" {
		return "the agent sends no such reason" + hint
	}
	return "the agent sends no such reason; the reasons are " + strings.Join(known, ", ")
}

func wrongCode(code int64) string {
	switch {
	case code == 0:
		return "0 means that the step passed; give the reason another number"
	case code < math.MinInt32 || code > math.MaxInt32:
		return fmt.Sprintf("%d is out of range; write a number of 32 bits", code)
	}
	return ""
}

// isChecksum reports whether the word is "sha256:" and the hexadecimal digits of such a checksum.
func isChecksum(word string) bool {
	hexadecimal, ok := strings.CutPrefix(word, "sha256:")
	return ok && len(hexadecimal) == 2*sha256.Size && strings.Trim(hexadecimal, digits+"abcdef") == ""
}

// The names of validators: in their programs, and in the agent's logs.
var (
	validatorName = syntax{lower, lower + digits + "_", 64}
	validatorAs   = syntax{alphanumeric, alphanumeric + "_.-", 64}
)

func (c Config) validatorFindings() (found []finding) {
	add := func(key, format string, args ...any) {
		found = append(found, finding{[]string{key}, fmt.Sprintf(format, args...)})
	}
	if n := len(c.Validators); n == 0 {
		add("validators", "the list is empty, so that every step would pass; name at least one")
	} else if n > MaxValidators {
		add("validators", "%s", tooMany(n))
	}
	taken := map[string]int{}
	for i, v := range c.Validators {
		path := elementPath("validators", i)
		switch {
		case v.Name == "":
			add(join(path, "name"), `the validator has no name; add one, such as name = "sequence"`)
		case !validatorName.matches(v.Name):
			add(join(path, "name"), "%s is no name of a validator; write up to 64 of a-z, 0-9 and _, "+
				"a letter first", show(v.Name))
		case !validatorAs.matches(v.As):
			add(join(path, "as"), "%s cannot stand in logs; write up to 64 of A-Z, a-z, 0-9, _, . and -, "+
				"a letter or a digit first", show(v.As))
		default:
			if first, ok := taken[v.As]; ok {
				add(join(path, "as"), "the name %s is taken by %s; give this validator one of its own with as",
					v.As, elementPath("validators", first))
			} else {
				taken[v.As] = i
			}
		}
		switch {
		case v.Path == "" && len(v.Args) > 0:
			add(join(path, "args"), "a validator without a path is part of stepagent and takes no arguments; "+
				"add the path of its program, or write settings instead")
		case v.Path != "" && !filepath.IsAbs(v.Path):
			add(join(path, "path"), "%s is not an absolute path; begin it with /", show(v.Path))
		case !printable(v.Path):
			add(join(path, "path"), "%s has unprintable characters; take them out", show(v.Path))
		}
		switch {
		case v.Checksum == "":
		case v.Path == "":
			add(join(path, "checksum"), "a validator without a path is part of stepagent and has no checksum of its own; "+
				"take it out, or add the path of its program")
		case !isChecksum(v.Checksum):
			add(join(path, "checksum"), "%s is no checksum; write sha256: and the 64 hexadecimal digits that "+
				"sha256sum prints, in lower case", show(v.Checksum))
		}
	}
	return found
}

func tooMany(n int) string {
	return fmt.Sprintf("%d validators are too many; keep to %d", n, MaxValidators)
}
