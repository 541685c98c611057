# the journal

since=$(inside date '+%F %T')
recent() { journal --since "$since" -o cat "$@"; }
ended() { recent | grep 'msg="session ended"' | grep -c "$1"; }

# priorities: each line has the priority of its level, and there are some of each.
priorities() {
	journal -o verbose --output-fields=PRIORITY,MESSAGE | awk '
		BEGIN { want["DEBUG"] = 7; want["INFO"] = 6; want["WARN"] = 4; want["ERROR"] = 3 }
		/^ *PRIORITY=/ { sub(/.*=/, ""); priority = $0 }
		/^ *MESSAGE=level=/ {
			sub(/.*MESSAGE=level=/, "")
			n[$1]++
			if (want[$1] != priority) { print priority, $0; bad = 1 }
		}
		END { for (l in n) print n[l], l; exit bad || !n["INFO"] || !n["WARN"] || !n["ERROR"] }'
}

sleep 1
inside systemctl restart stepagent
for session in bench-one bench-two; do quick --host "$agent4" --session "$session" >/dev/null 2>&1; done
client run --data failure --host "$agent4" --session bench-three >/dev/null 2>&1 || true
for session in bench-one bench-two; do inside stepagent sessions end "$session"; done

check "one line for a session that was completed" same "$(ended session=bench-three)" 1
check "and for each that was not" same "$(ended session=bench-one) $(ended session=bench-two)" "1 1"
check "a failed step is a warning" says 'step_id=100 .*reason=out_of_order' recent -p warning
check "a start and a session are none" not sh -c 'printf "%s" "$1" | grep -E "agent started|session ended"' sh "$(recent -p warning)"
check "levels and priorities agree" priorities
journal -o cat >"$work/journal.txt"
check "no colour codes, no control characters" not grep -nP '[\x00-\x08\x0b-\x1f\x7f]' "$work/journal.txt"
check "neither time nor priority within a line" not grep -nE '^time=|^<[0-7]>' "$work/journal.txt"
