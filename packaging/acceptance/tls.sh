#!/usr/bin/env bash
# tls.sh [FOLDER]: TLS and identities, with openssl s_client and a Python client: certificates that are
# expired, of another CA, of another name or revoked; certificates exchanged under load; half handshakes
# by the thousand; plain bytes and TLS bytes at the wrong port; session names of others. FOLDER holds the
# programs, bin by default.
. "$(dirname "$0")/lib.sh"
require openssl python3
programs "${1-}"
workdir
cd "$work"

# --- Certificates

cat >ca.cnf <<'END'
[ca]
default_ca = own
[own]
database = index
serial = serial
crlnumber = crlnumber
new_certs_dir = issued
default_md = sha256
default_crl_days = 30
policy = any
copy_extensions = copy
unique_subject = no
email_in_dn = no
[any]
commonName = supplied
END

authority() { # folder: makes a CA
	mkdir -p "$1/issued"
	: >"$1/index"
	echo 01 >"$1/serial"
	echo 01 >"$1/crlnumber"
	sed "s,^\(database\|serial\|crlnumber\|new_certs_dir\) = ,&$PWD/$1/," ca.cnf >"$1/ca.cnf"
	quietly openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 3650 -subj "/CN=$1" \
		-addext keyUsage=critical,keyCertSign,cRLSign -keyout "$1/ca.key" -out "$1/ca.pem"
}

issue() { # CA, name, subjectAltName, extendedKeyUsage, option of openssl ca...
	local ca=$1 name=$2 names=$3 usage=$4
	shift 4
	quietly openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj "/CN=$name" -addext "subjectAltName=$names" \
		-addext "extendedKeyUsage=$usage" -keyout "$name.key" -out "$name.csr"
	[ $# -gt 0 ] || set -- -days 100
	quietly openssl ca -config "$ca/ca.cnf" -cert "$ca/ca.pem" -keyfile "$ca/ca.key" -batch -notext -in "$name.csr" -out "$name.pem" "$@"
}

crl() { quietly openssl ca -config own/ca.cnf -cert own/ca.pem -keyfile own/ca.key -gencrl -out own/ca.crl; }

stage "certificates"
authority own
authority other
issue own board DNS:localhost,IP:127.0.0.1 serverAuth
issue own station URI:spiffe://bench.example/station/7 clientAuth
issue own rival URI:spiffe://bench.example/station/8 clientAuth
issue own guest URI:spiffe://elsewhere.example/guest clientAuth
issue own lost URI:spiffe://bench.example/station/9 clientAuth
issue own old URI:spiffe://bench.example/station/10 clientAuth -startdate 20200101000000Z -enddate 20210101000000Z
issue own early URI:spiffe://bench.example/station/11 clientAuth -startdate 20900101000000Z -enddate 20910101000000Z
issue own server DNS:localhost serverAuth
issue other foreign URI:spiffe://bench.example/station/7 clientAuth
issue own misnamed DNS:board.example serverAuth
crl

# --- The agent

free_ports() { python3 -c 'import socket; s=[socket.socket() for _ in range(2)]; [x.bind(("127.0.0.1",0)) for x in s]; print(*(x.getsockname()[1] for x in s))'; }
read -r port secure < <(free_ports)
chmod 600 ./*.key
cat >agent.toml <<END
host = "127.0.0.1"
port = $port
[tls]
certificate = "$work/board.pem"
key = "$work/board.key"
client_ca = "$work/own/ca.pem"
crl = "$work/own/ca.crl"
mode = "off"
[[tls.clients]]
match = "spiffe://bench.example/station/*"
[[listeners]]
address = "127.0.0.1:$secure"
[[listeners]]
address = "unix:$work/steps.sock"
mode = "0600"
[log]
format = "text"
END
export RUNTIME_DIRECTORY=$work
check "the config is sound" "$bin/stepagent" check-config agent.toml
"$bin/stepagent" serve --config agent.toml 2>log &
agent=$!
within 20 grep -q 'msg="agent started"' log || fail "the agent does not start"

run() { "$bin/stepctl" run --data success --host localhost --port "$secure" --tls --ca own/ca.pem --timeout 5 "$@"; }
as() { local name=$1; shift; run --cert "$name.pem" --key "$name.key" "$@"; }
s_client() { # client, option...: sends a step and prints the reply
	local name=$1
	shift
	(printf '{"step_id":1,"timeout":5}\n'; sleep 1) |
		timeout 10 openssl s_client -connect "127.0.0.1:$secure" -CAfile own/ca.pem -verify_return_error -verify_hostname localhost \
			-cert "$name.pem" -key "$name.key" -quiet -no_ign_eof "$@" 2>&1
}

stage "who gets in"
check "openssl with a certificate" says '"step_id":1,"error_code":0' s_client station
check "openssl with ALPN" says '"error_code":0' s_client station -alpn stepagent/1
check "openssl with another ALPN is refused" fails 1 'no application protocol|alert' s_client station -alpn http/1.1
check "TLS 1.2 is refused" fails 1 'protocol version|alert' s_client station -tls1_2
check "stepctl with a certificate" says 'pass: all 10 steps' as station
refused() { # what, client, sentence of stepctl, sentence of the log
	local lines
	lines=$(wc -l <log)
	check "$1: stepctl says why" fails 3 "$3" as "$2"
	check "$1: the agent says why" within 5 eval "tail -n +$((lines + 1)) log | grep -qE '$4'"
	check "$1: openssl gets nothing" not says '"step_id"' s_client "$2"
}
refused "expired" old 'expired' 'station/10|CN=old.*expired|expired.*CN=old'
refused "not yet valid" early 'not (yet )?valid|expired' 'CN=early'
refused "another CA" foreign 'authority|CA' 'CN=foreign'
refused "a server's certificate" server 'usage|client' 'CN=server'
refused "not listed" guest 'not allowed|tls.clients|refused' 'guest'
check "no certificate: stepctl says why" fails 3 'certificate' run
check "a certificate of the board that is not its name" fails 3 'misnamed|board.example|localhost' \
	"$bin/stepctl" run --data success --host 127.0.0.1 --server-name elsewhere.example --port "$secure" --tls --ca own/ca.pem --cert station.pem --key station.key
check "another CA than the board's" fails 3 'authority|CA' run --ca other/ca.pem --cert station.pem --key station.key

stage "wrong ports"
check "plain bytes at the port with TLS" says 'speaks TLS' python3 "$acceptance/tls.py" plain "$secure"
check "stepctl without --tls there" fails 3 'TLS' "$bin/stepctl" run --data success --host localhost --port "$secure"
check "TLS bytes at the plain port" says 'plain TCP' python3 "$acceptance/tls.py" hello "$port"
check "stepctl with --tls there" fails 3 'without TLS' "$bin/stepctl" run --data success --host localhost --port "$port" --tls --ca own/ca.pem --cert station.pem --key station.key
check "a client of the field at the plain port" says 'pass: all 10 steps' "$bin/stepctl" run --data success --host localhost --port "$port"
check "steps over the unix socket" says '"error_code": ?0' python3 "$acceptance/tls.py" unix "$work/steps.sock"

stage "session names"
check "a name of another identity is another session" python3 "$acceptance/tls.py" names "$secure" "$work"

stage "certificates exchanged under load"
"$bin/stepctl" load --clients 64 --duration 12s --host localhost --port "$secure" --tls --ca own/ca.pem --cert station.pem --key station.key >load.txt 2>&1 &
loading=$!
pids+=("$loading")
for n in 1 2 3 4; do
	sleep 1.5
	issue own board DNS:localhost,IP:127.0.0.1 serverAuth
	chmod 600 board.key
	check "exchange $n is put in force" within 10 eval "[ \$(grep -c 'msg=\"certificates reloaded\"' log) -ge $n ]"
done
status=0
wait "$loading" || status=$?
check "no step is wrong or lost" same "$status $(tail -n 20 load.txt)" "0 $(tail -n 20 load.txt)"
cp board.key board.key.kept
cp station.key board.key # which does not fit
check "a key that does not fit is refused" within 10 grep -q 'new certificates refused' log
check "the old ones stay in force" says 'pass: all 10 steps' as station
check "and status says so" fails 3 'new certificates are refused' "$bin/stepagent" status --config agent.toml
cp board.key.kept board.key
check "until they fit again" within 10 "$bin/stepagent" status --config agent.toml

stage "revoked"
check "before it is revoked" says 'pass: all 10 steps' as lost
python3 "$acceptance/tls.py" stay "$secure" "$work" lost >stay.txt 2>&1 &
pids+=($!)
within 5 grep -q open stay.txt || fail "no connection stays open: $(cat stay.txt)"
quietly openssl ca -config own/ca.cnf -cert own/ca.pem -keyfile own/ca.key -revoke lost.pem
crl
check "its open connection is closed" within 20 grep -q closed stay.txt
refused "revoked" lost 'revoked' 'CN=lost.*revoked|revoked.*CN=lost'
check "others go on" says 'pass: all 10 steps' as station

stage "half handshakes by the thousand"
check "they are closed in time, and plain clients hardly notice" python3 "$acceptance/tls.py" flood "$secure" "$port" "$agent" "$bin/stepctl"

stage "status"
check "status counts the days" says 'days left' "$bin/stepagent" status --config agent.toml
check "no key is in the log" not grep -q 'PRIVATE KEY' log
stop_agent
conclude
