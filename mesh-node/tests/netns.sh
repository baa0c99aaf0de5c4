#!/bin/sh
# Two nodes in two network namespaces that share one cable: they find each other by themselves, and
# a file published on one is read on the other. Needs root, uses nothing that is there already, and
# leaves nothing behind. The program is $MESH, or target/release/mesh.
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
dir=$(mktemp -d "${TMPDIR:-/tmp}/mesh-netns-XXXXXX")
pids=

clean() {
    for pid in $pids; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    # The cable goes with its ends.
    ip netns del "$a" 2>/dev/null || true
    ip netns del "$b" 2>/dev/null || true
    rm -rf "$dir"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP PIPE

ip netns add "$a" 2>/dev/null || { echo "skipped: this root may not make network namespaces"; exit 0; }
ip netns add "$b"
ip link add "$a" netns "$a" type veth peer name "$b" netns "$b"
number=0
for end in "$a" "$b"; do
    number=$((number + 1))
    ip -n "$end" link set lo up
    ip -n "$end" addr add "192.0.2.$number/24" dev "$end"
    ip -n "$end" link set "$end" up
done

# A cable that was just plugged in has no addresses yet for a second or two: that is not what is
# timed here.
settled() {
    [ -n "$(ip -n "$1" -6 addr show dev "$1" scope link)" ] &&
        [ -z "$(ip -n "$1" -6 addr show dev "$1" tentative)" ]
}
for end in "$a" "$b"; do
    tries=100
    until settled "$end" || [ "$tries" = 0 ]; do
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

# in_node A|B COMMAND…: becomes mesh in that namespace and home; for a subshell.
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

: >"$dir/a.out"
: >"$dir/b.out"
head -c 300000 /dev/urandom >"$dir/file"
chmod 644 "$dir/file"

in_node "$a" up --headless --json >"$dir/a.out" 2>&1 &
pids="$pids $!"
wait_for "$dir/a.out" '"event":"ready"' 10
# Whoever can open every file still is not the user the node runs as.
if [ -n "$user" ]; then
    code=0
    MESH_HOME="$dir/$a-home" "$mesh" id >"$dir/id.out" 2>&1 || code=$?
    [ "$code" = 6 ] || { echo "root asked nobody's node and got $code:"; cat "$dir/id.out"; exit 1; }
fi

link=$(in_node "$a" channel new netns)
(in_node "$a" publish netns "$dir/file") >/dev/null

in_node "$b" up --headless --json >"$dir/b.out" 2>&1 &
pids="$pids $!"
wait_for "$dir/b.out" '"event":"near"' 10
since=$(sed -n 's/.*"event":"near".*"since_ms":\([0-9]*\).*/\1/p' "$dir/b.out" | head -n 1)
echo "B had a session with A $since ms after its start (wanted: 300)"

(in_node "$b" follow "$link") >/dev/null
(in_node "$b" get "$link" 1 -o "$dir/copy" --wait 20s)
cmp "$dir/file" "$dir/copy"
echo "the file is the same on both sides"

if [ "$since" -gt 2000 ]; then
    echo "finding each other took more than 2 s"
    exit 1
fi
