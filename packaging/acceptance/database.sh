#!/usr/bin/env bash
# database.sh [FOLDER]: procedures and runs in a database, with SQLite and with a PostgreSQL server that
# the script starts and stops: the tests of the packages that use a database, imports and exports, runs
# that are stored, killed, and go on while the server is away. FOLDER holds the programs, bin by default.
# Needs root, Debian's postgresql, Go and python3.
. "$(dirname "$0")/lib.sh"
require_root "to start PostgreSQL as its own user"
require go psql python3 runuser
programs "${1-}"
workdir
chmod 755 "$work"
cd "$work"
export HOME=$work XDG_STATE_HOME=$work/state
unset "${!STEPCTL_@}"

# --- PostgreSQL

postgres_bin=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin | sort -V | tail -n 1)
readonly postgres_bin
[ -x "$postgres_bin/initdb" ] || die "initdb is missing; install postgresql"
as_postgres() { (cd / && runuser -u postgres -- "$@"); }
postgres_start() { quietly as_postgres "$postgres_bin/pg_ctl" -D "$work/cluster" -w -l "$work/postgres.log" start; }
postgres_stop() { quietly as_postgres "$postgres_bin/pg_ctl" -D "$work/cluster" -w -m immediate stop; }
cleanup() { postgres_stop 2>/dev/null || true; }

postgres_create() {
	local try
	install -d -o postgres -m 700 cluster
	install -o postgres -m 600 /dev/null postgres.log
	quietly as_postgres "$postgres_bin/initdb" -D "$work/cluster" -A trust -U postgres --no-sync
	for try in 1 2 3 4 5; do # the port may be taken
		pgport=$((20000 + (RANDOM + try) % 10000))
		printf "port = %s\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '%s'\nfsync = off\n" \
			"$pgport" "$work/cluster" >>cluster/postgresql.conf
		! postgres_start 2>/dev/null || return 0
	done
	die "PostgreSQL does not start: $(tail -n 5 postgres.log)"
}
sql() { psql -X -q -v ON_ERROR_STOP=1 -d "$postgres" -f "$1"; }
lite() { # FILE: runs the statements of a file on the SQLite database
	python3 -c 'import sqlite3, sys
database = sqlite3.connect("runs.db", isolation_level=None)
for statement in open(sys.argv[1]).read().split(";"):
    for row in database.execute(statement): print(*row, sep="|")' "$1"
}

stage "a PostgreSQL server"
postgres_create
readonly server="postgres://postgres@127.0.0.1:$pgport"
as_postgres psql -X -q -h 127.0.0.1 -p "$pgport" -c 'CREATE DATABASE runs'
readonly postgres="$server/runs?sslmode=disable"
readonly places=(runs.db "$postgres")

stage "the tests of the packages, in the background"
packages=$(cd "$root" && grep -rlF databasetest --include='*_test.go' agent/internal | xargs dirname | sort -u | sed 's|^|./|')
# shellcheck disable=SC2086 # one argument a package
(cd "$root" && HOME=/root POSTGRES_TEST_URL="$server/postgres?sslmode=disable" \
	nice go test -count=1 ./agent/internal/client/database/... $packages &&
	HOME=/root POSTGRES_TEST_URL="$server/postgres?sslmode=disable" nice go test -count=1 -run '^TestWorker' ./agent/cmd/stepctl) >tests.log 2>&1 &
tests=$!
pids+=("$tests")

# --- The programs

engine_of() { case $1 in postgres:*) echo postgres ;; *) echo sqlite ;; esac; }
stepctl() { "$bin/stepctl" "$@"; }
steps() { # COUNT INTERVAL: prints a procedure
	local i
	printf '{"test_services": [\n'
	for i in $(seq "$1"); do printf '  {"step_id": %s, "timeout": 5, "interval": %s}%s\n' "$i" "$2" "$([ "$i" = "$1" ] || echo ,)"; done
	printf ']}\n'
}
run_id() { sed -n 's/.*msg="the run is stored[^"]*" run=\([^ ]*\).*/\1/p' "$1"; }
begun() { grep -q "step $2: ok" "$1"; } # OUTPUT STEP

# equal ID RECORD: the reports of a run in the database, by $STEPCTL_DB, are those of its record.
equal() {
	local code=0 again=0
	stepctl report --run "$1" --html 1.html --junit 1.xml --tap 1.tap --summary 1.json >1.txt || code=$?
	stepctl report "$2" --html 2.html --junit 2.xml --tap 2.tap --summary 2.json >2.txt || again=$?
	same "$code" "$again" && cmp 1.html 2.html && cmp 1.xml 2.xml && cmp 1.tap 2.tap && cmp 1.json 2.json && cmp 1.txt 2.txt
}

stage "an agent"
start_agent
steps 10 0.02 >quick.json
steps 10 0.4 >slow.json
printf '\n{ "test_services" :[{"step_id":1,"timeout":5.0,"data":{"이름":"\\u00e9"}} ]\t}\n\n' >odd.json

stage "runs that are killed"
for place in "${places[@]}"; do
	"$bin/stepctl" run slow.json --port "$port" --db "$place" >killed.txt 2>&1 &
	victim=$!
	within 20 begun killed.txt 2 || fail "the run does not begin: $(cat killed.txt)"
	kill -KILL "$victim"
	wait "$victim" 2>/dev/null || true
	check "$(engine_of "$place"): the report of a killed run says so" fails 1 '^the record ends before the run did' \
		stepctl report --run last --db "$place"
done
killed_at=$SECONDS

for place in "${places[@]}"; do
	export STEPCTL_DB=$place
	engine=$(engine_of "$place")
	stage "$engine"
	check "$engine: step files are imported" says '^odd@1: stored, 1 step$' stepctl db import quick.json odd.json
	for name in quick odd; do
		stepctl db export "$name" >exported || fail "db export $name"
		check "$engine: $name is exported byte for byte" cmp "$name.json" exported
	done
	check "$engine: the same file is no new version" says '^quick@1: unchanged' stepctl db import quick.json

	stepctl run --procedure quick --port "$port" --log-format text --board bench-1 --label firmware=2.1 --record "$engine.jsonl" \
		--html run.html >run.txt 2>run.log || fail "the run ends with $?: $(cat run.log)"
	check "$engine: reports of the run are those of its record" equal "$(run_id run.log)" "$engine.jsonl"
	check "$engine: and the page is that of the run" cmp run.html 1.html
	check "$engine: the columns follow from the events" stepctl db check
	check "$engine: a record that is stored is known" says '^0 records stored, 1 known' stepctl db add "$engine.jsonl"
done

stage "many records, once each"
mkdir records
python3 - <<'PY'
record = open("sqlite.jsonl").read()
session = record.split('"session":"')[1].split('"')[0]
for n in range(1000):
    with open(f"records/{n:04}.jsonl", "w") as file:
        file.write(record.replace(session, f"night-{n}"))
PY
echo '{"event":"start"}' >records/broken.jsonl
for place in "${places[@]}"; do
	export STEPCTL_DB=$place
	check "$(engine_of "$place"): 1000 records are added, and a bad one is named" fails 2 '^1000 records stored, 0 known already, 1 refused$' stepctl db add records
	check "$(engine_of "$place"): none is added again" fails 2 '^0 records stored, 1000 known already, 1 refused$' stepctl db add records
	check "$(engine_of "$place"): the bad one is named" fails 2 'records/broken.jsonl' stepctl db add records/broken.jsonl
done

stage "a PostgreSQL server that is stopped in mid-run"
tested=0
wait "$tests" || tested=$?
pids=()
tests_pass() { cat tests.log && return "$tested"; }
check "the tests of $(grep -c '^ok' tests.log) packages pass on both engines" tests_pass
sed -n 's/^ok/     &/p' tests.log
export STEPCTL_DB=$postgres
"$bin/stepctl" run slow.json --port "$port" --log-format text --record away.jsonl >away.txt 2>away.log &
running=$!
within 20 begun away.txt 2 || fail "the run does not begin"
postgres_stop
stopped_run=0
wait "$running" || stopped_run=$?
check "the run goes on and passes" same "$stopped_run" 0
check "with one warning" same "$(grep -c 'level=WARN' away.log)" 1
check "its events wait in a file" same "$(find state -name '*.spool' | wc -l)" 1
check "nothing is sent when the server is away before the run" fails 4 'cannot reach the database' stepctl run quick.json --port "$port"
postgres_start
check "db sync takes the events in" says 'events? from 1 file stored' stepctl db sync
check "nothing was lost" equal "$(run_id away.log)" away.jsonl
check "the columns follow from the events" stepctl db check
check "no file is left" same "$(find state -name '*.spool' | wc -l)" 0

"$bin/stepctl" run slow.json --port "$port" --log-format text --record back.jsonl >back.txt 2>back.log &
running=$!
within 20 begun back.txt 2 || fail "the run does not begin"
postgres_stop
within 20 begun back.txt 5 || fail "the run does not go on"
postgres_start
wait "$running" || fail "the run ends with $?"
check "a run whose server comes back is stored" equal "$(run_id back.log)" back.jsonl
check "and leaves no file" same "$(find state -name '*.spool' | wc -l)" 0

stage "the statements of docs/database.md"
sed -n '/^```sql$/,/^```$/p' "$root/docs/database.md" | grep -v '^```' >examples.sql
check "PostgreSQL performs them" says '^ quick +\| pass' sql examples.sql
check "SQLite performs them" says '^quick\|pass\|' lite examples.sql

stage "the killed runs, 30 s after their last sign of life"
marked() { stepctl db info --db "$1" --json | grep -q '"running":0,"interrupted":1,'; }
for place in "${places[@]}"; do
	check "$(engine_of "$place"): the killed run is marked as interrupted" within $((45 - SECONDS + killed_at)) marked "$place"
done
conclude
