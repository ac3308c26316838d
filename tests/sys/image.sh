#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Images pulled from Debian's docker-registry: the trees are those that umoci
# makes, layers are shared, removal frees the disk, and a kill at any time
# leaves a store that opens whole.
if [ -z "${IN_NAMESPACES-}" ]; then
	IN_NAMESPACES=1 exec unshare -mn "$0"
fi
. "$(dirname "$0")/../tap.sh"
ip link set lo up
requires docker-registry skopeo umoci
here=$TOP/tests/sys
reg=127.0.0.1:5000
store=$WORK/store

"$TOP/tests/peers/registry" serve "$WORK/registry" 5000 &
at_exit "kill $! 2> /dev/null"
wait_for 20 curl -fs "http://$reg/v2/" || skip_all "docker-registry does not start"

pull()
{
	"$BUILD/tests/sys/pull" "$store" --libexec "$BUILD/image" "$@" 2>> "$WORK/log"
}

# push NAME LAYOUT TAG
push()
{
	skopeo copy -q --dest-tls-verify=false "oci:$2:$3" "docker://$reg/$1"
}

# what an image's overlay shows, without what depends on the time of unpacking
show()
{
	local lower
	lower=$(pull layers "$1" | paste -sd:)
	mkdir -p "$WORK/mnt"
	mount -t overlay -o "ro,lowerdir=$lower" overlay "$WORK/mnt" || return 1
	"$here/tree.py" "$WORK/mnt" | normal
	umount "$WORK/mnt"
}

normal()
{
	sed -E 's/^(\.|\.\/new|\.\/new\/parent) (0o[0-9]+ 0:0) [0-9.]+/\1 \2/'
}

files()
{
	(cd "$store" && find . ! -type d -printf '%p %s %T@\n' | sort)
}

disk()
{
	du -s --block-size=1 --apparent-size "$store" | cut -f1
}

mkdir "$WORK/layouts"
for kind in gzip zstd; do
	"$here/mk-image.py" "$WORK/layouts/$kind" "$kind" "$kind" big > "$WORK/$kind.id"
	push "test/$kind:1" "$WORK/layouts/$kind" "$kind"
done
umoci unpack --image "$WORK/layouts/gzip:gzip" "$WORK/bundle" 2>> "$WORK/log"
"$here/tree.py" "$WORK/bundle/rootfs" | normal > "$WORK/umoci.tree"

for kind in gzip zstd; do
	read -r digest id < "$WORK/$kind.id"
	is "$kind: the image id is the config's digest" "$(pull pull $reg/test/$kind:1)" "ok $id"
	like "$kind: it is listed by tag and digest" "$(pull find $reg/test/$kind:1)" \
		"^$id size=[1-9][0-9]* user=1000:1001 tag=$reg/test/$kind:1 digest=$reg/test/$kind@$digest\$"
	show $reg/test/$kind:1 > "$WORK/$kind.tree"
	ok "$kind: the tree equals what umoci makes of it" diff "$WORK/umoci.tree" "$WORK/$kind.tree"
done
ok "the trees have entries" test "$(wc -l < "$WORK/umoci.tree")" -gt 2000
is "layers are shared by two images" "$(ls "$store/layers" | wc -l)" 3

before=$(files)
is "a pull of what is there works" "$(pull pull $reg/test/gzip:1 | cut -c1-9)" "ok sha256"
is "it changes nothing on disk" "$(files)" "$before"

read -r digest id < "$WORK/gzip.id"
full=$(pull find $reg/test/gzip:1)
for text in "$id" "${id#sha256:}" "${id:0:20}" "${id:7:12}" $reg/test/gzip:1 "$reg/test/gzip@$digest" \
	"$reg/test/gzip:other@$digest"; do
	is "found as $text" "$(pull find "$text")" "$full"
done
like "not found by a short prefix" "$(pull find "${id:7:4}")" "^error no image"
like "not found by another tag" "$(pull find $reg/test/gzip:2)" "^error no image"

pull pull "$reg/test/gzip@$digest" > /dev/null
skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "docker://$reg/test/gzip:1" "docker://$reg/test/gzip:2"
pull pull $reg/test/gzip:2 > /dev/null
is "two tags, one image" "$(pull list | grep -c "^$id .*tag=$reg/test/gzip:1 .*tag=$reg/test/gzip:2 ")" 1
skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "docker://$reg/test/zstd:1" "docker://$reg/test/gzip:2"
pull pull $reg/test/gzip:2 > /dev/null
like "a tag that moved names the new image" "$(pull find $reg/test/gzip:2)" "^$(cut -d' ' -f2 < "$WORK/zstd.id") "
like "the old image keeps its other names" "$(pull find "$id")" "tag=$reg/test/gzip:1 digest=$reg/test/gzip@$digest$"

pull remove $reg/test/gzip:1
like "removal by one tag takes the image" "$(pull find "$id")" "^error no image"
is "shared layers stay" "$(ls "$store/layers" | wc -l)" 3
is "removing what is absent is fine" "$(pull remove $reg/test/gzip:1 && echo ok)" ok
pull remove $reg/test/zstd:1 $reg/test/zstd:1
is "with the last image the last file goes" "$(files)" ""
is "and is not counted any more" "$(pull usage)" "bytes=0 inodes=0"
empty=$(disk)

is "four pulls at once" "$(pull pull $reg/test/gzip:1 $reg/test/zstd:1 $reg/test/gzip:1 $reg/test/gzip:2 | grep -c '^ok ')" 4
is "and each layer once" "$(ls "$store/layers" | wc -l)" 3
show $reg/test/zstd:1 > "$WORK/shared.tree"
ok "the tree is right after sharing the work" diff "$WORK/umoci.tree" "$WORK/shared.tree"
counted=$(pull usage | sed 's/bytes=\([0-9]*\).*/\1/')
real=$(du -s --block-size=1 "$store" | cut -f1)
ok "usage is counted within a tenth" test $((counted * 10)) -gt $((real * 9)) -a $((counted * 9)) -lt $((real * 10))
is "five removals at once" "$(pull remove $reg/test/{gzip,gzip,gzip,gzip,gzip}:1 && echo ok)" ok
pull remove $reg/test/zstd:1

pull pull $reg/test/gzip:1 > /dev/null
is "a held image is unlisted, its layers stay until the hold goes" \
	"$(pull held $reg/test/gzip:1)" $'listed=0 layer=1\nlayer=0'
is "then nothing is left" "$(files)" ""
pull pull $reg/test/gzip:1 > /dev/null
pull held $reg/test/gzip:1 keep > /dev/null
is "after a start with its hold the layers stay" "$(pull sweep "$id"; ls "$store/layers" | wc -l)" 3
is "without a hold they are swept" "$(pull sweep; files)" ""

is "a cancelled pull leaves nothing" \
	"$(pull --cancel 60 pull $reg/test/gzip:1; files)" "cancelled"
is "nor does one with a missing helper" \
	"$("$BUILD/tests/sys/pull" "$store" --libexec /none pull $reg/test/gzip:1 2> /dev/null | cut -c1-6; files)" "failed"
is "the disk is as it was" "$(disk)" "$empty"

# a kill at any time: helpers go along, the next start finds all or nothing
whole=0
begin=${EPOCHREALTIME/./}
pull pull $reg/test/gzip:1 > /dev/null
took=$((${EPOCHREALTIME/./} - begin))
pull remove $reg/test/gzip:1
for percent in 2 4 7 10 15 20 25 30 40 50 60 70 75 80 85 90 95 500; do
	ms=$((took * percent / 100000))
	pull pull $reg/test/gzip:1 > /dev/null &
	pid=$!
	sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
	driver=$(pgrep -P $pid -x pull || echo $pid)
	kill -KILL "$driver" 2> /dev/null
	wait $pid 2> /dev/null
	wait_for 10 eval '! pgrep -f "^berth-(fetch|inflate|unpack)" --ns $$ --nslist net' ||
		tap_fail "helpers live on after a kill at $ms ms"
	list=$(pull list)
	left=$(find "$store/staging" "$store/trash" -mindepth 1 | wc -l)
	[ "$left" = 0 ] || tap_fail "$left files are left after a kill at $ms ms"
	if [ -n "$list" ]; then
		whole=$((whole + 1))
		# by its id: the digest's name comes first, the tag's may be missing yet
		show "${list%% *}" > "$WORK/killed.tree"
		diff -q "$WORK/umoci.tree" "$WORK/killed.tree" > /dev/null ||
			tap_fail "a damaged image is listed after a kill at $ms ms"
		pull remove "${list%% *}"
	fi
	pull sweep
done
tap_pass "18 kills left no half image"
ok "the last of them came after the end" test "$whole" -gt 0
is "and no file" "$(files)" ""

# the order that a power cut relies on, and a child killed at each of its calls
if command -v strace > /dev/null; then
	calls=syncfs,fsync,renameat2,renameat,rename
	strace -f -y -qq -e trace=$calls -e signal=none -o "$WORK/strace" \
		"$BUILD/tests/sys/pull" "$store" --libexec "$BUILD/image" pull $reg/test/gzip:1 > /dev/null 2>> "$WORK/log"
	is "layers: sync all, rename, sync folder; blobs, then names: sync, rename, sync folder" "$(awk '
		/syncfs/ { print "S" } /renameat2.*layers/ { print "lr" } /fsync.*layers>/ { print "ld" }
		/fsync.*\/sha256\/.*new>/ { print "bf" } /renameat.*\/sha256>/ { print "br" } /fsync.*\/sha256>/ { print "bd" }
		/fsync.*\/images\/.*new>/ { print "nf" } /renameat.*\/images>/ { print "nr" } /fsync.*\/images>/ { print "nd" }
		' "$WORK/strace" | sed -n '/^S/,$p' | paste -sd' ')" \
		"S lr lr lr ld bf br bd bf br bd nf nr nd nf nr nd nd ld"
	pull remove $reg/test/gzip:1
	for call in syncfs fsync renameat renameat2 mknodat fsetxattr; do
		for n in 1 2 4; do
			strace -f -qq -e trace=$call -e inject=$call:signal=KILL:when=$n -o /dev/null \
				"$BUILD/tests/sys/pull" "$store" --libexec "$BUILD/image" pull $reg/test/gzip:1 > /dev/null 2>&1
			list=$(pull list)
			left=$(find "$store/staging" "$store/trash" -mindepth 1 | wc -l)
			[ "$left" = 0 ] || tap_fail "$left files are left after a kill at $call $n"
			pull remove $reg/test/gzip:1
			pull sweep
			[ -z "$(files)" ] || { tap_fail "a kill at $call $n leaves files"; files; }
		done
	done
	tap_pass "18 kills at system calls left nothing that counts"

	# a tag that moves, and the last of its publisher's calls
	skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "docker://$reg/test/gzip:1" "docker://$reg/test/moves:1"
	pull pull $reg/test/moves:1 > /dev/null
	old=$(pull find $reg/test/moves:1)
	skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "docker://$reg/test/zstd:1" "docker://$reg/test/moves:1"
	strace -f -qq -e trace=fsync -e inject=fsync:signal=KILL:when=8 -o /dev/null \
		"$BUILD/tests/sys/pull" "$store" --libexec "$BUILD/image" pull $reg/test/moves:1 > "$WORK/out" 2>&1
	like "its pull fails" "$(cat "$WORK/out")" 'publish was ended by signal 9'
	is "the tag names the old image still" "$(pull find $reg/test/moves:1)" "$old"
	pull pull $reg/test/moves:1 > /dev/null
	like "the next pull moves it" "$(pull find $reg/test/moves:1)" "^$(cut -d' ' -f2 < "$WORK/zstd.id") "
	pull remove "${old%% *}"
	pull remove $reg/test/moves:1
	pull sweep
	is "and nothing is left" "$(files)" ""
else
	skip "the order that a power cut relies on" "strace is missing"
fi

is "an unknown image" "$(pull pull $reg/test/none:1 | cut -d: -f1)" "not found"
is "an unknown tag" "$(pull pull $reg/test/gzip:9 | cut -d: -f1)" "not found"
like "nobody listens" "$(pull pull 127.0.0.1:1/x:1)" "^unavailable: .*127.0.0.1:1"
like "no such host" "$(pull pull registry.invalid/x:1)" "^unavailable: .*registry.invalid"
like "a malformed name" "$(pull pull 'Bad Name')" "^refused: image name Bad Name: malformed"

is "a mirror stands in" "$(pull --mirror quay.io=http://$reg pull quay.io/test/gzip:1 | cut -c1-9)" "ok sha256"
like "the image has the name it was asked by" "$(pull list)" " tag=quay.io/test/gzip:1 digest=quay.io/test/gzip@"
is "a dead mirror is passed over" \
	"$(pull --mirror $reg=http://127.0.0.1:1 pull $reg/test/gzip:1 | cut -c1-9)" "ok sha256"
like "all sources are named when none has it" \
	"$(pull --mirror "*=http://$reg" pull quay.io/test/none:1)" \
	"^unavailable: .*http://$reg: not found.*; https://quay.io: "
pull remove $reg/test/gzip:1

# a folder in the place of a registry
chmod 755 "$WORK"
skopeo copy -q "oci:$WORK/layouts/gzip:gzip" "oci:$WORK/preloaded:quay.io/pre/loaded:1"
folder="--mirror *=oci:$WORK/preloaded"
is "an image of a folder" "$(pull $folder pull quay.io/pre/loaded:1)" "ok $id"
like "by its digest" "$(pull $folder pull "quay.io/pre/loaded@$digest")" "^ok $id"
like "another one is not there" "$(pull $folder pull quay.io/pre/other:1)" "oci:$WORK/preloaded: not found; "
pull remove "$id"
blob=$(ls -S "$WORK/preloaded/blobs/sha256"/* | head -n 1)
printf X | dd of="$blob" bs=1 seek=100 conv=notrunc status=none
like "a damaged one is refused" "$(pull $folder pull quay.io/pre/loaded:1)" "^corrupt: .*layer sha256:${blob##*/}.*the bytes have"

# a full disk
truncate -s 24M "$WORK/small.img"
mkfs.ext4 -q -F "$WORK/small.img"
mkdir "$WORK/small"
if mount -o loop "$WORK/small.img" "$WORK/small" 2> /dev/null; then
	store=$WORK/small/store
	pull list
	empty=$(files)
	free=$(stat -f -c %f "$WORK/small")
	like "a full disk is named" "$(pull pull $reg/test/gzip:1)" "^no space: .*layer sha256:"
	is "nothing of it stays" "$(files)" "$empty"
	ok "and the space is back" test "$(stat -f -c %f "$WORK/small")" -ge $((free - 4))
	umount "$WORK/small"
	store=$WORK/store
else
	skip "a full disk is named" "no loop devices"
fi

# records that are torn or lie are passed over, the rest is there
pull pull $reg/test/gzip:1 $reg/test/zstd:1 > /dev/null
sed -i '1s/[0-9]* *$/9/' "$store/images/"*gzip:1
truncate -s 20 "$store/images/"*zstd:1
echo garbage > "$store/images/strange"
mkdir "$store/layers/strange"
is "damaged records are not listed, the others are" \
	"$(pull list | sed 's/size=[0-9]* user=[^ ]* //' | sort)" \
	"$({ echo "$id digest=$reg/test/gzip@$digest"; read -r d i < "$WORK/zstd.id"; echo "$i digest=$reg/test/zstd@$d"; } | sort)"
is "and are gone" "$(ls "$store/images" | wc -l) $(ls "$store/layers" | wc -l)" "2 3"
layer=$(pull layers "$id" | tail -n 1)
rm "$(dirname "$layer")/DONE"
is "an image without one of its layers is not listed" "$(pull list)" ""
is "its rest is swept" "$(pull sweep; files)" ""
done_testing
