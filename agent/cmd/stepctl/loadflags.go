package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/load"
)

// A durationFlag is a length of time with its unit; a bare number is in seconds.
type durationFlag time.Duration

func (d *durationFlag) Set(text string) error {
	length, err := time.ParseDuration(text)
	if err != nil {
		var seconds secondsFlag
		err = seconds.Set(text)
		length = time.Duration(seconds)
	}
	if err != nil || length <= 0 {
		return errors.New("write a length of time above 0, such as 500ms, 30s or 2m")
	}
	*d = durationFlag(length)
	return nil
}

func (d *durationFlag) String() string { return time.Duration(*d).String() }
func (d *durationFlag) Type() string   { return "DURATION" }

// A reconnectFlag says how often clients make a new connection.
type reconnectFlag string

const (
	eachStep    reconnectFlag = "step"
	eachSession reconnectFlag = "session"
)

func (r *reconnectFlag) Set(text string) error {
	switch reconnectFlag(text) {
	case eachStep, eachSession:
		*r = reconnectFlag(text)
	case "true": // as if it were a switch
		*r = eachStep
	case "false", "":
		*r = ""
	default:
		return errors.New("write --reconnect or --reconnect=step, or --reconnect=session, not " + strconv.Quote(text))
	}
	return nil
}

// noArgs refuses arguments. The value of --reconnect is one of the words that may come as one:
// since it may be left out, it needs the =.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if word := reconnectFlag(args[0]); cmd.Flags().Lookup("reconnect") != nil && (word == eachStep || word == eachSession) {
		hint = "; did you mean --reconnect=" + args[0] + "?"
	}
	return fmt.Errorf("%s takes no argument %q%s", cmd.CommandPath(), args[0], hint)
}

func (r *reconnectFlag) String() string { return string(*r) }
func (r *reconnectFlag) Type() string   { return "step|session" }

func (r *reconnectFlag) choice() load.Reconnect {
	switch *r {
	case eachStep:
		return load.EachStep
	case eachSession:
		return load.EachSession
	default:
		return load.Never
	}
}
