package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// tagName is the struct tag that names the key of a field. A field of a section, or of the struct
// itself, is a key by that tag alone, and has the tags:
//
//	default  its value where no source sets one, written as in an environment variable
//	limits   of a number or a duration, both ends included: "1..65535", "1ms..1h"
//	zeros    "allowed" where a variable or a flag may have the number with zeros before it
//	oneof    the words that it may be, with commas
//	check    the name in checks of what it may be
//	within   the key of the limit for all, where this one is that of one address
//	restart  "needed" where it cannot change while the agent runs
//	flag     the usage of its flag, with the name of the value as <NAME>; none without
const tagName = "config"

// A key is one scalar of a config, or a list of words.
type key struct {
	name      string
	kind      kind
	index     []int // of its field, for reflect.Value.FieldByIndex
	byDefault any
	tag       reflect.StructTag
	notInFile bool // its variable and its flag alone set it
}

// A schema is the keys of a program's config: one table for the file, the environment, the flags,
// the defaults and the checks.
type schema struct {
	program string // its variables begin with the name in upper case
	keys    []key
	tables  []string // further keys of the file: lists and tables of other types
}

// agentSchema returns the schema of Config.
var agentSchema = sync.OnceValue(func() *schema {
	s := schemaOf("stepagent", reflect.TypeFor[Config]())
	s.keys = append(s.keys, key{name: timeoutKey, kind: minTimeoutSeconds{}, notInFile: true,
		tag: `default:"5" flag:"shortest timeout in <SECONDS> that a step may declare, checked by the validator min_timeout"`})
	return s
})

// schemaOf reads the tags of a struct. It panics if they are invalid.
func schemaOf(program string, of reflect.Type) *schema {
	s := &schema{program: program}
	s.add(of, "", nil)
	return s
}

func (s *schema) add(of reflect.Type, section string, index []int) {
	for i := range of.NumField() {
		field := of.Field(i)
		k := key{name: join(section, field.Tag.Get(tagName)), index: append(slices.Clone(index), i), tag: field.Tag}
		if field.Type.Kind() == reflect.Struct {
			s.add(field.Type, k.name, k.index)
			continue
		}
		if k.kind = kindOf(field); k.kind == nil {
			s.tables = append(s.tables, k.name)
			continue
		}
		k.byDefault = reflect.Zero(field.Type).Interface()
		if field.Type.Kind() == reflect.Slice {
			k.byDefault = []string{} // as an empty list in a file
		}
		if text, ok := field.Tag.Lookup("default"); ok {
			k.byDefault = must(k.kind.fromText(text))
		}
		s.keys = append(s.keys, k)
	}
}

// kindOf returns the kind of a field by its type and its tags; nil for a type that is no scalar.
func kindOf(field reflect.StructField) kind {
	low, high, _ := strings.Cut(field.Tag.Get("limits"), "..")
	switch reflect.Zero(field.Type).Interface().(type) {
	case bool:
		return boolean{}
	case int:
		return integer{int64(must(strconv.Atoi(low))), int64(must(strconv.Atoi(high))), field.Tag.Get("zeros") != ""}
	case time.Duration:
		return duration{must(time.ParseDuration(low)), must(time.ParseDuration(high))}
	case Seconds:
		return seconds{1}
	case string, []string:
		if words := field.Tag.Get("oneof"); words != "" {
			return choice(strings.Split(words, ","))
		}
		if check := checks()[field.Tag.Get("check")]; check != nil {
			return check
		}
		panic(fmt.Sprintf("the field %s has no check", field.Name))
	}
	return nil
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// find returns the named key; nil when there is none.
func (s *schema) find(name string) *key {
	if i := slices.IndexFunc(s.keys, func(k key) bool { return k.name == name }); i >= 0 {
		return &s.keys[i]
	}
	return nil
}

// fileNames returns the names of the scalars that a file may have.
func (s *schema) fileNames() (names []string) {
	for _, k := range s.keys {
		if !k.notInFile {
			names = append(names, k.name)
		}
	}
	return names
}

// isSection reports whether name is a table that holds scalars.
func (s *schema) isSection(name string) bool {
	return slices.ContainsFunc(s.keys, func(k key) bool { return strings.HasPrefix(k.name, name+".") })
}

// fields calls f with each key that has a field in the struct that into points to.
func (s *schema) fields(into any, f func(k *key, field reflect.Value)) {
	v := reflect.ValueOf(into).Elem()
	for i := range s.keys {
		if k := &s.keys[i]; k.index != nil {
			f(k, v.FieldByIndex(k.index))
		}
	}
}

// values returns the values of the struct that of points to, by key.
func (s *schema) values(of any) map[string]any {
	values := make(map[string]any, len(s.keys))
	s.fields(of, func(k *key, field reflect.Value) { values[k.name] = field.Interface() })
	return values
}

// setDefaults sets every scalar of the struct that into points to.
func (s *schema) setDefaults(into any) {
	s.fields(into, func(k *key, field reflect.Value) {
		if words, ok := k.byDefault.([]string); ok {
			field.Set(reflect.ValueOf(slices.Clone(words)))
			return
		}
		field.Set(reflect.ValueOf(k.byDefault))
	})
}

// merge lays flags over the environment over the file over the values of the struct that into
// points to. Every value has the type of its field already, so nothing is converted on the way.
func (s *schema) merge(into any, file, environ, flags map[string]any) error {
	layers := viper.New()
	for name, value := range s.values(into) {
		layers.SetDefault(name, value)
	}
	for _, scalars := range []map[string]any{file, environ} {
		layer := viper.New()
		for name, value := range scalars {
			layer.Set(name, value)
		}
		if err := layers.MergeConfigMap(layer.AllSettings()); err != nil {
			return err
		}
	}
	for name, value := range flags {
		layers.Set(name, value)
	}
	// A lower limit for all lowers that of one address too, unless a source has set that as well.
	for _, k := range s.keys {
		if all := k.tag.Get("within"); all != "" && layers.GetInt(all) < layers.GetInt(k.name) {
			layers.SetDefault(k.name, layers.GetInt(all))
		}
	}
	s.fields(into, func(k *key, field reflect.Value) { field.Set(reflect.ValueOf(layers.Get(k.name))) })
	return nil
}

// A Flag is a flag that sets a key.
type Flag struct {
	Name string
	Key  string // in Sources.Set
	// Usage has the name of the value in back quotes, as package pflag wants it.
	Usage string
	// Switch says that the flag alone means true.
	Switch bool
}

// Flags are the flags of the keys that have one.
type Flags []Flag

// AgentFlags returns the flags of the agent's config.
var AgentFlags = sync.OnceValue(func() Flags { return agentSchema().flags() })

func (s *schema) flags() (flags Flags) {
	quotes := strings.NewReplacer("<", "`", ">", "`")
	for _, k := range s.keys {
		usage := quotes.Replace(k.tag.Get("flag"))
		if usage == "" {
			continue
		}
		if text := k.tag.Get("default"); text != "" {
			usage += " (default " + text + ")"
		}
		_, isSwitch := k.kind.(boolean)
		flags = append(flags, Flag{flagName(k.name), k.name, usage, isSwitch})
	}
	return flags
}

// Add adds the named flags to a command's, in the order of the names.
func (fs Flags) Add(set *pflag.FlagSet, names ...string) {
	for _, name := range names {
		i := slices.IndexFunc(fs, func(f Flag) bool { return f.Name == name })
		if fs[i].Switch {
			set.Bool(name, false, fs[i].Usage)
			continue
		}
		set.String(name, "", fs[i].Usage)
	}
}

// Set returns the values of the flags that the command line sets, for Sources.Set.
func (fs Flags) Set(set *pflag.FlagSet) map[string]string {
	values := map[string]string{}
	for _, flag := range fs {
		if f := set.Lookup(flag.Name); f != nil && f.Changed {
			values[flag.Key] = f.Value.String()
		}
	}
	return values
}

// flagName returns the name of a key's flag.
func flagName(key string) string { return strings.NewReplacer(".", "-", "_", "-").Replace(key) }
