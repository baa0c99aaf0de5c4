#!/bin/sh
# Three nodes in three network namespaces, in a line A-B-C with a cable between neighbours. They
# find each other by themselves; a file published on A is read on C through B, which follows
# nothing, and then on B itself.
set -eu

# An interface's name has at most 15 characters.
a=mesha$$
b=meshb$$
c=meshc$$
needs='cmp sed'
names="$a $b $c"
# shellcheck source=mesh-node/tests/netns/common.sh
. "$(dirname "$0")/common.sh"

ip link add ab netns "$a" type veth peer name ba netns "$b"
ip link add bc netns "$b" type veth peer name cb netns "$c"
end "$a" ab 192.0.2.1
end "$b" ba 192.0.2.2
end "$b" bc 198.51.100.2
end "$c" cb 198.51.100.3

for name in $names; do
    settled "$name"
done

head -c 300000 /dev/urandom >"$dir/file"
chmod 644 "$dir/file"

start "$a" a.out
# Whoever can open every file still is not the user the node runs as.
if [ -n "$user" ]; then
    code=0
    MESH_HOME="$dir/$a-home" "$mesh" id >"$dir/id.out" 2>&1 || code=$?
    [ "$code" = 6 ] || { echo "root asked nobody's node and got $code:"; cat "$dir/id.out"; exit 1; }
fi

link=$(in_node "$a" channel new netns)
(in_node "$a" publish netns "$dir/file") >/dev/null

start "$b" b.out
wait_for "$dir/b.out" '"event":"near"' 10
since=$(sed -n 's/.*"event":"near".*"since_ms":\([0-9]*\).*/\1/p' "$dir/b.out" | head -n 1)
within 'B had a session with A after its start' "$since" 300 2000

begin=$(now_ms)
start "$c" c.out
(in_node "$c" follow "$link") >/dev/null
(in_node "$c" get "$link" 1 -o "$dir/far" --wait 20s) >/dev/null
took=$(($(now_ms) - begin))
cmp "$dir/file" "$dir/far"
within 'C, which shares no cable with A, had the file after its start' "$took" 1000 2000
(in_node "$c" status) | tee "$dir/c.status"
grep -q 'through 1 other' "$dir/c.status"
(in_node "$b" status) | grep -A 1 'were carried\|No channels\|^Channels'
(in_node "$b" channel list) | grep -q '^No channels' || { echo 'B follows something'; exit 1; }

(in_node "$b" follow "$link") >/dev/null
(in_node "$b" get "$link" 1 -o "$dir/copy" --wait 20s)
cmp "$dir/file" "$dir/copy"
echo 'the file is the same everywhere'
