package runner

import (
	"context"
	"errors"
	"time"

	"github.com/stepagent/stepagent/agent/client"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/tlsdial"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A run is one execution of a procedure.
type run struct {
	ctx       context.Context
	opts      Options
	procedure stepfile.Procedure
	log       *log
	client    *client.Client // nil before the first step
	refused   bool           // client and agent cannot agree on TLS
	// resent is the index of the step that was sent before the run was resumed, as resentAs; 0 for
	// none.
	resent   int
	resentAs protocol.ReqID
}

// close closes the connection, if there is one. The caller has settled every step that was sent.
func (r *run) close() {
	if r.client != nil {
		_ = r.client.Close() // always nil
	}
}

// performFrom performs all steps from an index on and returns why the run ended.
func (r *run) performFrom(first int) record.Cause {
	last := len(r.procedure.Steps)
	for index := first; index <= last; index++ {
		step := r.procedure.Steps[index-1]
		settled, result := r.perform(index, step)
		switch {
		case !settled:
			return record.Interrupted
		case r.refused:
			return record.Refused
		case r.client == nil:
			return record.Lost
		case index < last:
			r.wait(index, step, result.Done)
		}
	}
	return record.Finished
}

// perform performs one step. It is not settled if the run was interrupted.
func (r *run) perform(index int, step stepfile.Step) (settled bool, result client.Result) {
	result, err := r.exchange(index, step)
	event := record.Event{Index: index, StepID: step.ID, Took: result.Done.Sub(result.Sent)}
	if err == nil && r.opts.TLS == nil {
		err = tlsdial.PlainRefused(&result.Reply)
	}
	var wrong *client.WrongReplyError
	refused, isRefused := errors.AsType[*tlsdial.RefusedError](err)
	switch {
	case isRefused:
		event.Kind, event.Detail, event.Took = record.KindUnreachable, refused.Sentence, 0
		r.refused = true
	case err == nil:
		event.Kind, event.Reply = record.KindReply, &result.Reply
	case errors.Is(err, client.ErrTimeout):
		event.Kind = record.KindTimeout
	case errors.As(err, &wrong):
		event.Kind, event.Reply, event.Detail = record.KindWrong, wrong.Reply, wrong.Problem
	case errors.Is(err, client.ErrConnectionLost):
		event.Kind, event.Detail = record.KindLost, err.Error()
	case r.ctx.Err() != nil:
		return false, result
	default:
		event.Kind, event.Detail, event.Took = record.KindUnreachable, err.Error(), 0
	}
	r.log.settle(event)
	return true, result
}

// exchange sends the step's request and waits for its reply. The first step connects.
func (r *run) exchange(index int, step stepfile.Step) (client.Result, error) {
	if r.client == nil {
		if err := r.connect(); err != nil {
			return client.Result{}, err
		}
	}
	r.log.setStep(index)
	asked := request(step, r.opts.Session)
	if index == r.resent {
		asked.Req = r.resentAs
	}
	return r.client.Exchange(r.ctx, asked)
}

// connect opens the first connection.
func (r *run) connect() (err error) {
	r.client, err = client.Dial(r.ctx, r.opts.Address, client.Options{
		DialTimeout:   r.opts.DialTimeout,
		MaxReplyBytes: r.opts.MaxReplyBytes,
		Plain:         r.opts.Plain,
		Name:          r.opts.clientName(),
		RetryFor:      r.opts.RetryFor,
		OnRetry:       r.log.again,
		OnSent:        func(request protocol.Request) { r.log.sent(request, r.client.Address()) },
		OnStray:       r.log.stray,
		Fallbacks:     r.opts.Fallbacks,
		Dial:          (&tlsdial.Dialer{Config: r.opts.TLS, Dial: r.opts.Dial, OnHandshake: r.secured}).DialContext,
	})
	return err
}

func request(step stepfile.Step, session string) protocol.Request {
	return protocol.Request{
		StepID:   step.ID,
		Timeout:  protocol.Seconds(step.Timeout),
		Interval: protocol.Seconds(step.Interval),
		Session:  session,
		Data:     step.Data,
	}
}

// RequestBytes returns the length of a step's message in bytes, with a generated session and req.
func RequestBytes(step stepfile.Step) int {
	r := request(step, randomSession())
	r.Req = protocol.TextReq("xxxxxxxx-0000") // of the same length as a generated req
	return len(protocol.AppendRequest(nil, r)) - len("\n")
}

// wait waits the interval after a step, counted from done, or until the run is interrupted.
func (r *run) wait(index int, step stepfile.Step, done time.Time) {
	left := time.Until(done.Add(step.Interval))
	if left > 0 {
		r.log.withoutEvents(func() { r.opts.OnInterval(index, step.ID, left) })
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.ctx.Done():
	}
	r.log.add(record.Event{Kind: record.KindInterval, Index: index, StepID: step.ID,
		Interval: step.Interval, Kept: time.Since(done)})
}
