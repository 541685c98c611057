// English. What follows "export default" is JSON, which a test compares with the HTML report's words
// and with ko.js, which has the same entries in the same order. An entry with "one" and "other" is
// chosen by n. Names in braces are replaced.
export default {
  "language": "English",
  "title": "stepagent, live",
  "skip": "Skip to the sessions",
  "controls": "Page",
  "pause": "Pause",
  "resume": "Resume",
  "colours": "Colours",
  "schemes": {"auto": "as the system", "light": "light", "dark": "dark"},

  "marks": {"connecting": "CONNECTING", "running": "RUNNING", "degraded": "DEGRADED", "lost": "NOT CONNECTED"},
  "sentences": {
    "connecting": "The page connects to the agent.",
    "running": "The agent judges steps.",
    "degraded": {"one": "The agent is degraded: {n} problem.", "other": "The agent is degraded: {n} problems."},
    "lost": "No connection to the agent since {time}."
  },
  "reconnects": "The page tries again every few seconds and continues where it stopped.",
  "refusesPage": "The agent refuses the page: {detail}",
  "where": "stepagent {version} at {address}, up {uptime}, validators generation {generation}",
  "problems": "Problems",
  "noProblems": "No problem is known.",

  "now": "Now",
  "tiles": {
    "open": "Open sessions", "connections": "Connections", "rate": "Steps per second", "passed": "Passed",
    "failed": "Did not pass", "undecided": "Undecided", "median": "Median response", "p99": "99th percentile"
  },
  "rate": "Steps per second",
  "latency": "Response",
  "lines": {"passed": "Passed", "failed": "Did not pass", "median": "median", "p99": "99th percentile"},
  "minutesAgo": "{n} min ago",
  "nowTick": "now",

  "sessions": "Sessions",
  "find": "Session or client",
  "show": "Show",
  "kinds": {"all": "all", "open": "open", "failing": "with steps that did not pass", "ended": "ended"},
  "shown": {"one": "{shown} of {n} session", "other": "{shown} of {n} sessions"},
  "summary": {
    "client": "wait for client", "validator": "wait for validator",
    "pass": "passed", "fail": "failed", "incomplete": "incomplete"
  },
  "mapNone": "No session is open.",
  "mapOne": "A square for each open session, filled as its steps are judged.",
  "mapMany": "A square for {n} open sessions each, filled as their steps are judged.",
  "mapLabel": "Map of the sessions: {n} shown, {failing} with steps that did not pass.",
  "noSessions": "No session yet. This page fills in when a client sends its first step.",
  "noneFits": "No session fits the filter.",
  "session": "Session",
  "client": "Client",
  "steps": "Steps",
  "state": "State",
  "waits": {
    "client": "waits for the client, {time}", "interval": "interval, {time} left",
    "validator": "waits for a validator"
  },
  "marksOfSessions": {"open": "OPEN", "pass": "PASS", "fail": "FAIL", "incomplete": "INCOMPLETE"},
  "ended": {"pass": "PASS", "fail": "FAIL", "incomplete": "INCOMPLETE: {cause}"},
  "outcomes": {"p": "Passed", "f": "Did not pass", "u": "Undecided", "n": "Not judged yet"},
  "strip": "{position} of {steps} steps judged, {failed} did not pass",

  "failed": "Steps that did not pass",
  "noneFailed": "None since the agent was started.",
  "stepOf": "Step {step} of {session}, {client}, {time}",
  "reasons": {
    "out_of_order": "The step was out of order.",
    "timeout_too_short": "The step declares a shorter timeout than the agent allows.",
    "interval_not_kept": "The client did not keep the interval that it had declared.",
    "rule_broken": "The step broke a rule configured on the agent.",
    "bad_message": "The agent could not parse the message.",
    "bad_request": "A field of the message is missing or wrong.",
    "validator_unavailable": "A validator gave no verdict in time. The client is not at fault.",
    "busy": "The agent had reached one of its limits. The client is not at fault.",
    "shutting_down": "The agent was shutting down. The client is not at fault.",
    "internal": "The agent failed to process the message. The client is not at fault."
  },

  "validators": "Validators",
  "health": {"serving": "judging", "starting": "starting", "backing off": "waiting to restart", "stopped": "stopped", "refusing": "refusing steps"},
  "process": "up {uptime}, restarts: {restarts}",
  "judged": "steps: {steps}, without a verdict: {errors}",
  "calls": "calls: median {median}, 99th percentile {p99}",
  "lastError": "Last lost process: {error}",

  "refused": "Refused",
  "refusedCaption": "Since the agent was started.",
  "refusedGroups": {"steps": "Steps that did not pass", "messages": "Messages that no validator judged", "connections": "Connections"},
  "reason": "Reason",
  "count": "Count",
  "meanings": {
    "any": "For any reason.",
    "limit": "Past a limit.",
    "not_allowed": "From an address that is not served."
  },

  "close": "Close",
  "identity": "Identity",
  "started": "Started",
  "position": "Steps",
  "ago": "{time} ago",
  "timeline": "Timeline",
  "timelineCaption": "Low bars are steps that passed, tall bars steps that did not. Times are to a quarter of a second.",
  "timelineLabel": "{position} steps judged in {duration}; {failed} did not pass.",
  "stepsListed": "Steps, the latest first",
  "step": "Step no. {position}: {outcome}",
  "after": "after {time}",
  "earlier": "Earlier steps are not listed.",
  "sessionGone": "The session has ended and is no longer shown.",
  "end": "End this session",
  "endSure": "End this session as incomplete? Its client gets no reply to say so.",
  "endYes": "End it",
  "cancel": "Cancel",

  "reload": "Reload the config",
  "reloading": "Reloading …",
  "reloaded": "The config is in force: validators generation {n}.",
  "endedNotice": "The session {session} was ended.",
  "refusedAction": "The agent refused: {detail}",
  "unreachable": "The agent could not be reached.",
  "readOnly": "Read-only: the agent allows no changes from this page.",
  "tokenTitle": "Token",
  "tokenAsk": "Changes need the agent's token. On the agent's machine, print it with:",
  "tokenWrong": "The agent did not accept this token.",
  "token": "Token of the agent",
  "send": "Send",
  "dismiss": "Dismiss",

  "restarted": "The agent was restarted. The page shows the new process.",
  "eventsLost": {"one": "{n} event came faster than this page could take it. The page has loaded the whole state again.", "other": "{n} events came faster than this page could take them. The page has loaded the whole state again."},
  "leftOut": {"one": "{n} session is left out", "other": "{n} sessions are left out"},
  "failuresLeftOut": {"one": "{n} failed step is left out", "other": "{n} failed steps are left out"},
  "lostSoFar": {"one": "{n} event was lost", "other": "{n} events were lost"},
  "footer": "Times are the agent's, in the time zone of this browser. The plots show the last five minutes, the list the last 1,000 sessions that have ended.",
  "units": {"d": "{n} d", "h": "{n} h", "min": "{n} min", "s": "{n} s", "ms": "{n} ms", "us": "{n} µs"}
};
