# docs/guide.md, docs/tls.md and docs/tls-rotation.md, from a machine without stepagent and a laptop without stepctl

rm -f "$work"/root/root/*.deb
cp -a "$work/root" "$work/laptop"
cp "$old"/stepagent_*_amd64.deb "$work/root/root/"
cp "$old"/stepctl_*_amd64.deb "$work/laptop/root/"
echo "$agent4 board" >>"$work/laptop/etc/hosts"
# The laptop may copy files to the board.
install -d -m 700 "$work/root/root/.ssh" "$work/laptop/root/.ssh"
ssh-keygen -q -t ed25519 -N '' -f "$work/laptop/root/.ssh/id_ed25519"
cp "$work/laptop/root/.ssh/id_ed25519.pub" "$work/root/root/.ssh/authorized_keys"
sed 's/^/board /' "$work"/root/etc/ssh/ssh_host_*_key.pub >"$work/laptop/root/.ssh/known_hosts"
readonly on_hosts=(
	-host board="nsenter -t $leader -a env -i HOME=/root DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin LANG=C.UTF-8 sh -c 'cd && exec bash'"
	-host laptop="ip netns exec $bench chroot $work/laptop env -i HOME=/root DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 sh -c 'cd && exec bash'"
)
check "each command of the guide prints what the page shows" go run ./packaging/tools/transcript ${GUIDE-} "${on_hosts[@]}" docs/guide.md
# Sessions that the guide has left open would be restored, for as long as they may be resumed.
nsenter -t "$leader" -a sh -c 'systemctl stop stepagent.service && rm -rf /var/lib/stepagent/sessions && systemctl start stepagent.service'
check "and each of the guides to TLS" go run ./packaging/tools/transcript ${GUIDE-} "${on_hosts[@]}" docs/tls.md docs/tls-rotation.md
