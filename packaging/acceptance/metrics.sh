#!/usr/bin/env bash
# metrics.sh [FOLDER]: has a real Prometheus scrape a real agent, and compares what it stored with what
# stepagent status says. Steps pass, fail for each reason and get no reply; validators are stopped and
# killed. The alert rules and each query of the dashboard are evaluated. FOLDER holds the programs, bin by
# default. Needs prometheus, promtool, curl and python3.
. "$(dirname "$0")/lib.sh"
require openssl prometheus promtool curl python3
programs "${1-}"
workdir
cd "$work"
export HOME=$work
monitoring=$root/packaging/monitoring

# For the days until it ends.
quietly openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 30 -subj /CN=board -keyout board.key -out board.pem
cat >agent.toml <<TOML
allow_faults = true
[tls]
certificate = "$work/board.pem"
key = "$work/board.key"
mode = "off"
[http]
listen = "127.0.0.1:0"
read_only = true
[session]
survives = "restart"
dir = "$work/sessions"
[limits]
connections_per_address = 12
sessions_per_address = 6
[judging]
floor = "50ms"
[record]
enabled = true
dir = "$work/record"
[[validators]]
name = "sequence"
[[validators]]
name = "min_timeout"
settings = { seconds = 0.1 }
[[validators]]
name = "pacing"
path = "$bin/stepagent"
args = ["plugin"]
[[validators]]
name = "rules"
path = "$bin/stepagent"
args = ["plugin"]
[[validators.settings.rule]]
name = "supply"
expression = '"volts" in data ? data.volts < 30 : true'
reason = "rule_broken"
detail = "the supply is not below 30 V"
[[validators]]
name = "faults"
path = "$bin/stepagent"
args = ["plugin"]
[[validators.settings.plan]]
step_id = 9
fault = "withhold"
TOML

# free_port: prints a TCP port that nothing uses.
free_port() { python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# prometheus_at PORT FOLDER FLAG...: starts a Prometheus that scrapes the agent each second.
prometheus_at() {
	local at=$1 folder=$2
	shift 2
	mkdir "$folder"
	prometheus --config.file=prometheus.yml --web.listen-address="127.0.0.1:$at" --storage.tsdb.path="$folder/data" \
		--log.level=warn "$@" >"$folder/log" 2>&1 &
	pids+=($!)
	within 30 curl -fsS -o /dev/null "http://127.0.0.1:$at/-/ready" || fail "prometheus does not start: $(cat "$folder/log")"
}

# observe ARGUMENT...: runs metrics.py, which asks the agent and Prometheus.
observe() { "$acceptance/metrics.py" "$@"; }
status() { "$bin/stepagent" status --port "$port" --json; }
pid_of() { "$bin/stepagent" validators --port "$port" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)['"$1"']["pid"])'; }

stage "rules"
check "promtool accepts the alert rules" promtool check rules "$monitoring/stepagent-alerts.yaml"
check "the alert rules pass their tests" promtool test rules "$monitoring/stepagent-alerts.test.yaml"

stage "an agent and two Prometheus"
start_agent --config agent.toml
http=$(status | python3 -c 'import json, sys; print(json.load(sys.stdin)["http"]["address"])')
cat >prometheus.yml <<YAML
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [$monitoring/stepagent-alerts.yaml]
scrape_configs:
  - job_name: stepagent
    static_configs: [{ targets: ["$http"] }]
YAML
check "promtool accepts the config" promtool check config prometheus.yml
classic=$(free_port)
prometheus_at "$classic" classic
native=$(free_port)
prometheus_at "$native" native --enable-feature=native-histograms
for at in "$classic" "$native"; do
	check "the agent is scraped (port $at)" within 20 observe value "$at" 'up{job="stepagent"}' 1
done

stage "steps"
check "steps pass, fail for each reason and get no reply" observe steps "$port"
observe stopped "$port" "$(pid_of 1)" || fail "a step of a stopped validator got a verdict"
ok "a step of a stopped validator gets none"
for n in 1 2 3 4; do
	before=$(pid_of 0)
	kill -KILL "$before"
	another() { [ "$(pid_of 0)" != "$before" ] && [ "$(pid_of 0)" != 0 ]; }
	within 20 another || fail "no other process replaces a killed validator"
	sleep 2.2 # until it has served for long enough to be replaced at once
done
status >status.json || true

stage "what Prometheus stored"
for at in "$classic" "$native"; do
	check "every count is that of stepagent status (port $at)" within 20 observe compare "$at" status.json
done
check "the time of each step is in the classic histogram" within 10 observe histogram "$classic" classic status.json
check "the time of each step is in the native histogram" within 10 observe histogram "$native" native status.json
curl -fsS "http://$http/metrics" >metrics.txt
check "promtool finds no fault in the metrics" promtool check metrics <metrics.txt
check "the metrics are asked for by name" says '^stepagent_sessions 0$' curl -fsS "http://$http/metrics?name[]=stepagent_sessions"
check "the admin socket has them too" says '^stepagent_sessions ' curl -fsS --unix-socket "$work/admin-$port.sock" http://stepagent/metrics
for at in "$classic" "$native"; do
	check "each query of the dashboard has a result (port $at)" within 10 observe dashboard "$at" "$monitoring/stepagent-dashboard.json"
done

stage "alerts"
for alert in StepagentValidatorRestarts StepagentClientsRefused StepagentBadMessages; do
	check "$alert fires" within 20 observe value "$classic" "count(ALERTS{alertname=\"$alert\", alertstate=\"firing\"})" 1
done
for alert in StepagentDown StepagentDegraded StepagentRecordLoss StepagentInternalError; do
	check "$alert is silent" observe none "$classic" "ALERTS{alertname=\"$alert\"}"
done

stage "a reload"
sed -i 's/seconds = 0.1/seconds = 0.2/' agent.toml
check "the config is reloaded" "$bin/stepagent" reload --port "$port"
sed -i 's/name = "sequence"/name = "sequense"/' agent.toml
check "a wrong config is refused" not "$bin/stepagent" reload --port "$port"
check "both are counted" within 10 observe value "$classic" 'sum(stepagent_config_reloads_total{outcome=~"applied|refused"})' 2
check "the generation has gone up" within 10 observe value "$classic" stepagent_validators_generation 2
check "the last one was refused" within 10 observe value "$classic" stepagent_config_last_reload_successful 0
check "no counter was reset" observe monotonic "$classic"

stage "the end of the agent"
stop_agent
check "StepagentDown is pending" within 20 observe value "$classic" 'count(ALERTS{alertname="StepagentDown", alertstate="pending"})' 1
conclude
