# shellcheck shell=sh
# What tests in network namespaces have in common: they need root, use nothing that is there
# already, and leave nothing behind. The program is $MESH, or target/release/mesh. The caller lists
# in $needs the programs that it calls, and in $names the namespaces to make.

if [ "$(id -u)" != 0 ]; then
    echo "skipped: needs root"
    exit 0
fi
for tool in ip $needs; do
    command -v "$tool" >/dev/null || { echo "skipped: needs $tool"; exit 0; }
done

repository=$(cd "$(dirname "$0")/../../.." && pwd)
mesh=${MESH:-${CARGO_TARGET_DIR:-$repository/target}/release/mesh}
[ -x "$mesh" ] || { echo "no program at $mesh: cargo build --release, or set MESH"; exit 1; }

dir=$(mktemp -d "${TMPDIR:-/tmp}/mesh-netns-XXXXXX")
pids=
made=

clean() {
    for pid in $pids; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    # The cables go with their ends.
    for name in $made; do
        ip netns del "$name" 2>/dev/null || true
    done
    rm -rf "$dir"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP PIPE

for name in $names; do
    ip netns add "$name" 2>/dev/null || { echo "skipped: this root may not make network namespaces"; exit 0; }
    made="$made $name"
    ip -n "$name" link set lo up
done

# end NAMESPACE INTERFACE ADDRESS: one end of a cable.
end() {
    ip -n "$1" addr add "$3/24" dev "$2"
    ip -n "$1" link set "$2" up
}

# A cable that was just plugged in has no addresses yet for a second or two: that is not what is
# timed here.
settled() {
    tries=100
    until { [ -z "$(ip -n "$1" -6 addr show tentative)" ] &&
        [ -n "$(ip -n "$1" -6 addr show scope link)" ]; } || [ "$tries" = 0 ]; do
        tries=$((tries - 1))
        sleep 0.05
    done
}

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

