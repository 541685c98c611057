package metrics

import (
	"maps"
	"runtime"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost"
	"github.com/stepagent/stepagent/agent/internal/agent/server"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/validator"
)

// The reason of a step that passed, and of a step or message whose reason no list has.
const (
	noReason    = "none"
	otherReason = "other"
)

// metrics are all metrics of the agent but those of the runtime and of the process.
var metrics = slices.Concat(agentMetrics, clientMetrics, storeMetrics, stepMetrics, validatorMetrics, recordMetrics, fleetMetrics)

var agentMetrics = []metric{
	{"build_info", gauge, "Version of the agent; always 1.", []string{"version", "commit", "goversion"},
		func(s *State, to *samples) { to.add(1, s.Version, s.Commit, runtime.Version()) }},
	{"degraded", gauge, "Whether the health of the agent is degraded (1) or good (0).", nil,
		func(s *State, to *samples) { to.flag(s.Degraded) }},
	{"config_reloads_total", counter, "Reloads of the config, by outcome.", []string{"outcome"},
		func(s *State, to *samples) {
			to.count(s.Reloads.Applied, "applied")
			to.count(s.Reloads.Refused, "refused")
		}},
	{"config_last_reload_successful", gauge, "Whether the last reload of the config was applied (1) or refused (0); 1 before the first.", nil,
		func(s *State, to *samples) { to.flag(!s.Reloads.LastRefused) }},
	{"config_last_reload_success_timestamp_seconds", gauge, "When the config in force was put in force, by a reload or at the start, in Unix time.", nil,
		func(s *State, to *samples) { to.add(float64(s.Reloads.InForce.UnixMilli()) / 1000) }},
	{"log_lines_lost_total", counter, "Lines of the agent's log that were lost: dropped because the queue was full, or unwritten because writing failed.", []string{"cause"},
		func(s *State, to *samples) {
			to.count(s.Log.Dropped, "dropped")
			to.count(s.Log.Unwritten, "unwritten")
		}},
}

var clientMetrics = []metric{
	{"connections", gauge, "Open connections of clients.", nil,
		func(s *State, to *samples) { to.add(float64(s.Connections.Open)) }},
	{"connections_limit", gauge, "Limit of open connections.", nil,
		func(s *State, to *samples) { to.add(float64(s.Connections.Limit)) }},
	{"connections_accepted_total", counter, "Connections that were served.", nil,
		func(s *State, to *samples) { to.count(s.Connections.Accepted) }},
	{"connections_refused_total", counter, "Connections that were refused: past a limit, or from an address that is not allowed.", []string{"reason"},
		func(s *State, to *samples) {
			to.count(s.Connections.Refused, "limit")
			to.count(s.Connections.NotAllowed, "not_allowed")
		}},
	{"certificate_expiry_timestamp_seconds", gauge, "When a certificate, or the list of those revoked, ends; the earliest of each role.", []string{"role"},
		func(s *State, to *samples) {
			for _, role := range slices.Sorted(maps.Keys(s.Expiries)) {
				to.add(float64(s.Expiries[role].Unix()), role)
			}
		}},
	{"tls_connections", gauge, "Open connections with TLS, those in a handshake too.", nil,
		func(s *State, to *samples) { to.add(float64(s.Connections.TLS)) }},
	{"tls_handshakes_total", counter, "TLS handshakes, by outcome.", []string{"outcome"},
		func(s *State, to *samples) {
			for _, outcome := range server.HandshakeOutcomes() {
				to.count(s.Connections.Handshakes[outcome], string(outcome))
			}
		}},
	{"messages_refused_total", counter, "Messages that no validator was asked about, by the reason of the reply.", []string{"reason"},
		func(s *State, to *samples) {
			to.byReason(s.Connections.RefusedMessages, s.Connections.RefusedByReason, server.RefusalReasons())
		}},
	{"sessions", gauge, "Open sessions.", nil,
		func(s *State, to *samples) { to.add(float64(s.Sessions.Open)) }},
	{"sessions_limit", gauge, "Limit of open sessions.", nil,
		func(s *State, to *samples) { to.add(float64(s.SessionLimit)) }},
	{"sessions_ended_total", counter, "Sessions that ended: completed by their last step, or incomplete.", []string{"outcome"},
		func(s *State, to *samples) {
			to.count(s.Sessions.Completed, "completed")
			to.count(s.Sessions.Incomplete, "incomplete")
		}},
	{"sessions_moved_total", counter, "Open sessions that went on at another agent than before, by direction.", []string{"direction"},
		func(s *State, to *samples) {
			to.count(s.Sessions.MovedIn, "in")
			to.count(s.Sessions.MovedOut, "out")
		}},
}

var storeMetrics = []metric{
	{"session_store_enabled", gauge, "Whether sessions are stored and survive a restart (1).", nil,
		func(s *State, to *samples) { to.flag(s.Store.Dir != "" || s.Store.Bucket != "") }},
	{"session_store_failing", gauge, "Whether sessions cannot be stored now, so that steps are refused (1).", nil,
		func(s *State, to *samples) { to.flag(s.Store.Trouble != "") }},
	{"session_store_sessions", gauge, "Stored sessions, open ones and ended ones whose replies are kept.", nil,
		func(s *State, to *samples) { to.add(float64(s.Store.Sessions)) }},
	{"session_store_bytes", gauge, "Size of all files with sessions, or of their bucket in NATS.", nil,
		func(s *State, to *samples) { to.add(float64(s.Store.Bytes)) }},
	{"session_store_restored_sessions", gauge, "Sessions that were restored when the agent was started.", nil,
		func(s *State, to *samples) { to.add(float64(s.Store.Restored)) }},
	{"session_store_dropped_sessions", gauge, "Sessions that were stored and could not be restored when the agent was started.", nil,
		func(s *State, to *samples) { to.add(float64(s.Store.Dropped)) }},
	{"session_store_damaged_files", gauge, "Files with sessions that could not be read and were set aside when the agent was started.", nil,
		func(s *State, to *samples) { to.add(float64(len(s.Store.Damaged))) }},
	{"session_store_commits_total", counter, "Records that were stored, one for each step, each repeated request and each end of a session.", nil,
		func(s *State, to *samples) { to.count(s.Store.Commits) }},
	{"session_store_syncs_total", counter, "Times that the store waited until the disk had what was written.", nil,
		func(s *State, to *samples) { to.count(s.Store.Syncs) }},
	{"session_store_snapshots_total", counter, "Times that the store wrote all sessions anew, to shorten its files.", nil,
		func(s *State, to *samples) { to.count(s.Store.Snapshots) }},
	{"session_store_conflicts_total", counter, "Steps that were judged anew, as another agent had stored the session.", nil,
		func(s *State, to *samples) { to.count(s.Store.Conflicts) }},
	{"session_store_loads_total", counter, "Sessions that were read from the bucket that agents share.", nil,
		func(s *State, to *samples) { to.count(s.Store.Loads) }},
	{"session_store_resent_total", counter, "Records that were sent to NATS again, as their fate was not known or they were refused.", nil,
		func(s *State, to *samples) { to.count(s.Store.Resent) }},
}

var stepMetrics = []metric{
	{"steps_total", counter, "Steps, by outcome and by the reason of the reply.", []string{"outcome", "reason"},
		func(s *State, to *samples) {
			to.count(s.Sessions.Passed, validator.Pass.String(), noReason)
			to.byReason(s.Sessions.Failed, s.Sessions.ByReason, protocol.Judged(), validator.Fail.String())
			to.byReason(s.Sessions.Undecided, s.Sessions.ByReason, session.UndecidedReasons(), validator.Undecided.String())
		}},
	{"steps_replayed_total", counter, "Repeated requests that were answered from a replay cache.", nil,
		func(s *State, to *samples) { to.count(s.Sessions.Replayed) }},
	{"step_duration_seconds", histogram, "How long steps took, from the arrival of the whole request until the reply was written.", nil,
		func(s *State, to *samples) { to.durations(&s.Steps) }},
	{"replay_cache_bytes", gauge, "Size of all replay caches.", nil,
		func(s *State, to *samples) { to.add(float64(s.Sessions.RememberedBytes)) }},
}

var validatorMetrics = []metric{
	{"validators_generation", gauge, "Number of the validators in force, which each reload increases.", nil,
		func(s *State, to *samples) { to.count(s.Generation) }},
	each("validator_serving", gauge, "Whether a process of these validators serves (1) or is being started (0).",
		func(c *pluginhost.Counts, to *samples) { to.flag(c.Serving) }),
	each("validator_refusing", gauge, "Whether steps are refused at once because these validators failed too often in a row (1).",
		func(c *pluginhost.Counts, to *samples) { to.flag(c.Refusing) }),
	each("validator_restarts_total", counter, "Processes of these validators that replaced one that was lost.",
		func(c *pluginhost.Counts, to *samples) { to.count(c.Restarts) }),
	each("validator_steps_total", counter, "Steps that these validators judged, by a kept verdict or by a call.",
		func(c *pluginhost.Counts, to *samples) { to.count(c.Steps) }),
	each("validator_errors_total", counter, "Steps for which one of these validators gave no verdict.",
		func(c *pluginhost.Counts, to *samples) { to.count(c.Errors) }),
	each("validator_duration_seconds", histogram, "How long calls of these validators took, including the wait for a process.",
		func(c *pluginhost.Counts, to *samples) { to.durations(&c.Took) }),
	each("validator_queue_duration_seconds", histogram, "How long calls of these validators waited in the agent until they were sent to the process.",
		func(c *pluginhost.Counts, to *samples) { to.durations(&c.Queued) }),
	each("verdict_cache_hits_total", counter, "Steps that were judged by a kept verdict of these validators.",
		func(c *pluginhost.Counts, to *samples) { to.count(c.Kept.Hits) }),
	each("verdict_cache_misses_total", counter, "Steps for which these validators had no kept verdict.",
		func(c *pluginhost.Counts, to *samples) { to.count(c.Kept.Misses) }),
	each("verdict_cache_differing_total", counter, "Steps that got another verdict when these validators judged them again.",
		func(c *pluginhost.Counts, to *samples) { to.count(c.Kept.Differing) }),
	each("verdict_cache_entries", gauge, "Kept verdicts of these validators.",
		func(c *pluginhost.Counts, to *samples) { to.add(float64(c.Kept.Entries)) }),
	each("verdict_cache_bytes", gauge, "Size of the kept verdicts of these validators.",
		func(c *pluginhost.Counts, to *samples) { to.add(float64(c.Kept.Bytes)) }),
}

var recordMetrics = []metric{
	{"record_enabled", gauge, "Whether the agent's own record is on (1).", nil,
		func(s *State, to *samples) { to.flag(s.Record.Enabled) }},
	{"record_failing", gauge, "Whether the record cannot be written now (1).", nil,
		func(s *State, to *samples) { to.flag(s.Record.Error != "") }},
	{"record_queued_events", gauge, "Events that wait to be written to the record.", nil,
		func(s *State, to *samples) { to.add(float64(s.Record.Queued)) }},
	{"record_events_written_total", counter, "Events that were written to the record.", nil,
		func(s *State, to *samples) { to.count(s.Record.Written) }},
	{"record_events_dropped_total", counter, "Events that were not written to the record.", nil,
		func(s *State, to *samples) { to.count(s.Record.Dropped) }},
	{"record_events_lost_total", counter, "Events that were written to the record and are no longer there.", nil,
		func(s *State, to *samples) { to.count(s.Record.Lost) }},
}

var fleetMetrics = []metric{
	{"nats_enabled", gauge, "Whether the config names servers of NATS (1).", nil,
		func(s *State, to *samples) { to.flag(s.NATS) }},
	{"nats_connected", gauge, "Whether a server of NATS is connected to (1).", nil,
		func(s *State, to *samples) { to.flag(s.Connected) }},
	{"results_enabled", gauge, "Whether the record is published (1).", nil,
		func(s *State, to *samples) { to.flag(s.Results.Enabled) }},
	{"results_refused", gauge, "Whether there is a connection and no stream takes what is published (1).", nil,
		func(s *State, to *samples) { to.flag(s.Results.Error != "") }},
	{"results_lag_bytes", gauge, "Size of what the record has and the stream does not have yet.", nil,
		func(s *State, to *samples) { to.add(float64(s.Results.LagBytes)) }},
	{"results_lag_seconds", gauge, "Age of the first event that the stream does not have yet; 0 when it has all.", nil,
		func(s *State, to *samples) { to.add(time.Duration(s.Results.LagSeconds).Seconds()) }},
	{"results_events_published_total", counter, "Events of the record that the stream has.", nil,
		func(s *State, to *samples) { to.count(s.Results.Published) }},
	{"results_events_dropped_total", counter, "Events of the record that the stream will not get, as they were removed before.", nil,
		func(s *State, to *samples) { to.count(s.Results.Dropped) }},
	{"results_messages_total", counter, "Messages with events that the stream has acknowledged.", nil,
		func(s *State, to *samples) { to.count(s.Results.Messages) }},
	{"results_messages_duplicate_total", counter, "Messages with events that were sent again and that the stream had already.", nil,
		func(s *State, to *samples) { to.count(s.Results.Duplicates) }},
}
