#!/usr/bin/env bash
# fleet.sh [FOLDER]: performs the commands of docs/fleet.md in their order, with three servers of NATS and three
# agents on this machine, and checks what comes of them. FOLDER holds the programs, bin by default. Needs
# nats-server.
. "$(dirname "$0")/lib.sh"
require nats-server
programs "${1-}"
workdir
cd "$work"
export HOME=$work PATH=$bin:$PATH RUNTIME_DIRECTORY=$work
unset "${!STEPCTL_@}"
cleanup() { [ ! -s pids ] || xargs kill 2>/dev/null <pids || true; }

# Each block of the page is a file, which one shell reads in turn; after each, this script looks at the result.
blocks() { # PAGE PREFIX
	awk -v to="$2" '/^```sh$/ { n++; on = 1; next } /^```$/ { on = 0 } on { print > to n }' "$root/docs/$1"
}
blocks fleet.md block
blocks fleet.ko.md korean
for block in block*; do check "the Korean page has the commands of $block" cmp "$block" "korean${block#block}"; done
perform() { # NUMBER WHAT
	local status=0
	stage "$2"
	# shellcheck disable=SC1090 # a block of the page
	. "./block$1" >out 2>&1 </dev/null || status=$?
	cat out
	cat ./*.pid >pids 2>/dev/null
	check "$2: the commands of the page" same "$status" 0
}

perform 1 "three servers"
perform 2 "three agents"
check "the bucket is created" grep -q 'created the bucket stepagent-sessions with 3 replicas' out
perform 3 "who is there"
check "each board answers" same "$(grep -c '^board-[123] ' out)" 3
perform 4 "a session goes on at another agent"
check "the run passes" grep -q '^pass: ' out
check "and says that it went on elsewhere" grep -q '127.0.0.1:808[23]' out
perform 5 "the first agent is back"
perform 6 "one report of all boards"
check "every board passes" grep -q '^pass: ' out
check "the report has a page for each board" ls lab.html lab-a.html lab-b.html lab-c.html lab.xml
perform 7 "results in one place"
steps=$(stepctl db steps --limit 0 --json | wc -l)
check "every step is there once, from every agent" same "$steps" 40
check "of the run that moved too" says '"session"' stepctl db steps --board board-2 --limit 0 --json
perform 8 "a new config, board after board"
check "each has reloaded" same "$(grep -c '^board-[123]: reloaded' out)" 3
printf 'nonsense = 1\n' >>agent2.toml
check "a config with a mistake stops at its board" fails 1 'nonsense' stepctl boards reload board-1 board-2 board-3
perform 9 "the end"
conclude
