#!/bin/sh
# A publisher writes its channel as plain files and goes away; Python's web server gives them, and
# knows nothing of it. Three followers in one network get everything from there once, for all of
# them; then one that is alone gets it there for itself.
set -eu

w=meshw$$
x=meshx$$
y=meshy$$
z=meshz$$
needs='cmp python3 sed'
names="$w $x $y $z"
# shellcheck source=mesh-node/tests/netns/common.sh
. "$(dirname "$0")/common.sh"

# A switch in the web server's namespace, and a cable from it to everybody.
ip -n "$w" link add switch type bridge
number=1
for name in $x $y $z; do
    number=$((number + 1))
    ip link add "to$number" netns "$w" type veth peer name eth netns "$name"
    ip -n "$w" link set "to$number" master switch up
    end "$name" eth "192.0.2.$number"
done
end "$w" switch 192.0.2.1
for name in $x $y $z; do
    settled "$name"
done

for number in 1 2 3; do
    head -c 900000 /dev/urandom >"$dir/file$number"
done
mkdir "$dir/web"
chmod 644 "$dir"/file?
chmod 777 "$dir/web"

start "$w" w.out
link=$(in_node "$w" channel new web)
(in_node "$w" publish web "$dir/file1" "$dir/file2" "$dir/file3" --text 'all is well' \
    --origin-dir "$dir/web" --origin-url http://192.0.2.1:8000)
link=$(in_node "$w" channel list --json | sed 's/.*"link":"\([^"]*\)".*/\1/')
kill "${pids##* }"

ip netns exec "$w" python3 -m http.server 8000 --bind 192.0.2.1 --directory "$dir/web" \
    >"$dir/http.out" 2>&1 &
pids="$pids $!"

# sent: bytes that the web server has sent.
sent() {
    total=0
    for path in $(sed -n 's/.*"GET \([^ ]*\) HTTP[^"]*" 200.*/\1/p' "$dir/http.out"); do
        total=$((total + $(wc -c <"$dir/web$path")))
    done
    echo "$total"
}

begin=$(now_ms)
for name in $x $y $z; do
    start "$name" "$name.out"
    (in_node "$name" follow "$link") >/dev/null
done
for name in $x $y $z; do
    (in_node "$name" get "$link" all -o "$dir/$name-files" --wait 30s) >"$dir/$name-get.out"
    for number in 1 2 3; do
        cmp "$dir/file$number" "$dir/$name-files/file$number"
    done
done
within 'three followers had 2.7 MB each after the first start' $(($(now_ms) - begin)) 5000 30000
bytes=$(sent)
echo "the web server sent $bytes bytes, for three followers together"
[ "$bytes" -le $((2700000 * 11 / 10)) ] || { cat "$dir/http.out"; exit 1; }
for name in $x $y $z; do
    (in_node "$name" channel list) | sed -n 1p
done

# Whoever is alone has the web server for itself.
ip -n "$w" link set to2 down
ip -n "$w" link set to3 down
rm -rf "$dir/$z-files"
(in_node "$z" unfollow "$link") >/dev/null
(in_node "$z" follow "$link") >/dev/null
(in_node "$z" get "$link" all -o "$dir/alone" --wait 60s)
for number in 1 2 3; do
    cmp "$dir/file$number" "$dir/alone/file$number"
done
(in_node "$z" feed "$link") | grep -q 'all is well'
echo 'the files are the same everywhere'
