#!/bin/sh
# Three nodes in three network namespaces, in a line A-B-C with a cable between neighbours. They
# find each other by themselves; a file published on A is read on C through B, which follows
# nothing, and then on B itself. Needs root, uses nothing that is there already, and leaves nothing
# behind. The program is $MESH, or target/release/mesh.
set -eu

if [ "$(id -u)" != 0 ]; then
    echo "skipped: needs root"
    exit 0
fi
for tool in ip cmp sed; do
    command -v "$tool" >/dev/null || { echo "skipped: needs $tool"; exit 0; }
done

repository=$(cd "$(dirname "$0")/../.." && pwd)
mesh=${MESH:-${CARGO_TARGET_DIR:-$repository/target}/release/mesh}
[ -x "$mesh" ] || { echo "no program at $mesh: cargo build --release, or set MESH"; exit 1; }

# An interface's name has at most 15 characters.
a=mesha$$
b=meshb$$
c=meshc$$
dir=$(mktemp -d "${TMPDIR:-/tmp}/mesh-netns-XXXXXX")
pids=

clean() {
    for pid in $pids; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    # The cables go with their ends.
    for name in "$a" "$b" "$c"; do
        ip netns del "$name" 2>/dev/null || true
    done
    rm -rf "$dir"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP PIPE

ip netns add "$a" 2>/dev/null || { echo "skipped: this root may not make network namespaces"; exit 0; }
for name in "$b" "$c"; do
    ip netns add "$name"
done

# end NAMESPACE INTERFACE ADDRESS: one end of a cable.
end() {
    ip -n "$1" link set lo up
    ip -n "$1" addr add "$3/24" dev "$2"
    ip -n "$1" link set "$2" up
}

ip link add ab netns "$a" type veth peer name ba netns "$b"
ip link add bc netns "$b" type veth peer name cb netns "$c"
end "$a" ab 192.0.2.1
end "$b" ba 192.0.2.2
end "$b" bc 198.51.100.2
end "$c" cb 198.51.100.3

# A cable that was just plugged in has no addresses yet for a second or two: that is not what is
# timed here.
settled() {
    [ -z "$(ip -n "$1" -6 addr show tentative)" ] && [ -n "$(ip -n "$1" -6 addr show scope link)" ]
}
for name in "$a" "$b" "$c"; do
    tries=100
    until settled "$name" || [ "$tries" = 0 ]; do
        tries=$((tries - 1))
        sleep 0.05
    done
done

# Nobody needs to be root to run a node.
user=
if command -v setpriv >/dev/null && id nobody >/dev/null 2>&1; then
    user="setpriv --reuid=$(id -u nobody) --regid=$(id -g nobody) --clear-groups --"
    chown "$(id -u nobody):$(id -g nobody)" "$dir"
fi
cp "$mesh" "$dir/mesh"
chmod 755 "$dir" "$dir/mesh"

# in_node A|B|C COMMAND…: becomes mesh in that namespace and home; for a subshell.
in_node() {
    name=$1
    shift
    # shellcheck disable=SC2086
    exec env -i PATH="$PATH" HOME="$dir" MESH_HOME="$dir/$name-home" \
        ip netns exec "$name" $user "$dir/mesh" "$@"
}

# wait_for FILE WORD SECONDS
wait_for() {
    left=$(($3 * 20))
    while ! grep -q "$2" "$1"; do
        left=$((left - 1))
        if [ "$left" -le 0 ]; then
            echo "no $2 within $3 s; $1 says:"
            cat "$1"
            return 1
        fi
        sleep 0.05
    done
}

# start NAMESPACE OUTPUT: a node, until it says that it is ready.
start() {
    : >"$dir/$2"
    in_node "$1" up --headless --json >"$dir/$2" 2>&1 &
    pids="$pids $!"
    wait_for "$dir/$2" '"event":"ready"' 10
}

now_ms() {
    echo $(($(date +%s%N) / 1000000))
}

# within WHAT TOOK WANTED LIMIT: times are said as they are; only far too long is a failure, as the
# machine may have other things to do.
within() {
    echo "$1: $2 ms (wanted: $3)"
    [ "$2" -le "$4" ] || { echo "that is more than $4 ms"; exit 1; }
}

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
