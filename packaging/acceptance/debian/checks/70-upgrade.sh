# upgrade under load

version_of() { dpkg-deb -f "$1"/stepagent_*_amd64.deb Version; }
to=$(version_of "$new")
to=${to%-*}

process=$(main_pid)
add_key 'log.level = "warn"'
inside systemctl reload stepagent
under_load 10 "$work/upgrade.json"
sleep 2
check "apt upgrades the package" install_deb "$new"
check "to the second build" says "^stepagent ${to//./\\.}( |\$)" inside stepagent version
check "and restarts the agent" differ "$(main_pid)" "$process"
check "which is the new one" says "^agent +${to//./\\.}," inside stepagent status
load_ends
check "the clients went on, and no reply was wrong" says '"wrong": *0\b' cat "$work/upgrade.json"
check "the edited config was kept" inside grep -q '^log.level = "warn"' /etc/stepagent/stepagent.toml
check "apt goes back to the first build" install_deb "$old" --allow-downgrades

inside cp /root/packaged.toml /etc/stepagent/stepagent.toml
inside systemctl stop stepagent
inside systemctl enable --quiet --now stepagent.socket
inside systemctl start stepagent
process=$(main_pid)
under_load 10 "$work/upgrade.json"
sleep 2
check "with stepagent.socket, apt upgrades the package" install_deb "$new"
check "and restarts the agent" differ "$(main_pid)" "$process"
load_ends
check "and refuses no connection" no_refusals "$work/upgrade.json"
inside systemctl disable --quiet --now stepagent.socket
inside systemctl restart stepagent
