#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Power cuts: a node pulls, removes and churns pods from its first boot on, and
# QEMU keeps a log of what reached the disk and when. Then nodes boot from the
# disk as it was at random writes, with what a disk's cache may lose lost.
#
#	tests/vm/powercut.sh [-r] [-s SECONDS] [-f MORE] [CUTS [SEED]]
#
# After SECONDS (15) of churn CUTS (1) nodes boot, with seeds from SEED (of the
# clock) on. MORE (6) cuts, with the seeds after these, are looked at without a
# boot: PID 1's steps are done here and the store is opened by tests/sys/pull.
# The log stays in build/powercut when a cut fails or CUTS is 0; -r cuts in
# that again.
. "$(dirname "$0")/../tap.sh"
. "$TOP/tests/vm/vm.sh"
again=
more=6
seconds=15
while getopts f:rs: option; do
	case $option in
	f) more=$OPTARG ;;
	r) again=yes ;;
	s) seconds=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
cuts=${1:-1}
seed=${2:-$EPOCHSECONDS}
dir=$TOP/build/powercut

boot()
{
	vm_start "$WORK/vm" --append "no_timer_check berth.image.mirrors=cut.test=http://10.0.2.2:$port" "$@"
}

"$TOP/tests/vm/cutimages.py" "$WORK/layout" a b c d e f > "$WORK/ids"
port=$(vm_free_port)
"$TOP/tests/sys/registry.py" "$WORK/layout" "$port" > "$WORK/registry.log" 2>&1 &
registry=$!
at_exit "kill $registry 2> /dev/null"
at_exit vm_kill
ok "the registry answers" wait_for 20 curl -fs "http://127.0.0.1:$port/v2/honest/image/manifests/a" ||
	done_testing

# --- the churn ---------------------------------------------------------------

# a, b and c, d, e are pulled and removed by a loop each; pods have f, which comes and goes as well
cat > "$WORK/churn" <<'EOF2'
name=cut.test/honest/image
# a note goes at once into the gap before the partitions, in order with the other writes and
# without a flush of the disk; each loop has a place of its own
note() {
	printf '%-512s' "$*" | dd of=/dev/vda bs=512 seek=$((64 * loop)) conv=notrunc 2> /dev/null
	blockdev --flushbufs /dev/vda
}
any() { echo "$@" | tr ' ' '\n' | shuf -n 1; }
pull() { note "pull $1"; berthctl pull "$name:$1" > /dev/null && note "pulled $1" && echo "pulled $1"; }
rmi() { note "rmi $1"; berthctl rmi "$name:$1" && note "removed $1" && echo "removed $1"; }
images() { while :; do pull "$(any "$@")"; rmi "$(any "$@")"; pull "$(any "$@")"; done; }
pods() {
	while :; do
		pull f
		for i in 1 2 3; do
			berthctl run --name "p$((n += 1))" "$name:f" sh -c '/check; sleep 1000' > /dev/null && echo run
			berthctl run --name "p$((n += 1))" "$name:f" true > /dev/null && echo run
			[ $i != 2 ] || rmi f
			berthctl stop -t 0 $(berthctl pods | awk 'NR > 1 { print $1 }' | shuf -n 1)
			[ $i != 2 ] || pull f
			berthctl rm $(berthctl pods | awk 'NR > 1 { print $1 }' | shuf -n 2)
		done
		rmi f
	done
}
until berthctl version > /dev/null 2>&1; do sleep 0.2; done
echo ready
loop=1 && images a b &
loop=2 && images c d e &
loop=3 && pods
EOF2
churn()
{
	local churner end
	rm -rf "$dir"
	mkdir -p "$dir"
	boot --writes "$dir/log" || return
	vm_script "$WORK/churn" > "$WORK/churned" 2> "$WORK/churner" &
	churner=$!
	wait_for 50 grep -q run "$WORK/churned" || return
	end=$((SECONDS + seconds))
	while [ $SECONDS -lt $end ]; do
		sleep 0.2
	done
	vm_kill
	kill $churner
	wait $churner
	vm_state_start "$WORK/vm/disk.img" > "$dir/start"
	echo "# $(grep -c pulled "$WORK/churned") pulls, $(grep -c removed "$WORK/churned") removals," \
		"$(grep -c run "$WORK/churned") pods;" \
		"$("$TOP/tests/vm/writelog.py" "$dir/log" count "$(cat "$dir/start")") writes to the disk"
}
if [ -z "$again" ]; then
	churn || tap_fail "a node pulls, removes and churns pods"
	for what in pulled removed run; do
		ok "the churn has $what" grep -q $what "$WORK/churned" ||
			tail -n 20 "$WORK/churned" "$WORK/churner" "$WORK/vm/console.log" | sed 's/^/# /'
	done
fi

# --- the cuts ----------------------------------------------------------------

# what a node says after the cut; all, must and mustnot: tags; $(id TAG)
cat > "$WORK/look" <<'EOF2'
name=cut.test/honest/image
store=/var/lib/berth
bad() { echo "BAD $*"; }
ids() { berthctl "$@" | awk 'NR > 1 { print $1 }'; }
listed() { berthctl images | awk 'NR > 1 { print $3 }' | sort -u; }
# empty SECONDS FOLDER...: waits until nothing is below them
empty() {
	limit=$1
	shift
	for i in $(seq "$limit"); do
		left=$(find "$@" -mindepth 1 | grep -v "$store/records/damaged-" | head -n 5)
		[ -n "$left" ] || return 0
		sleep 1
	done
	bad left: $left
}
# each image's check in a container of its own
whole() {
	for image in "$@"; do
		if ! berthctl run --name "check-$image" "$image" sh /check > "run.$image"; then
			bad "$image does not start"
			continue
		fi
		ctr=$(awk '$1 == "container" { print $2 }' "run.$image")
		for i in $(seq 100); do
			berthctl ps -a | grep -q "^$ctr .* exited " && break
			sleep 0.3
		done
		said=$(berthctl logs "$ctr" 2>&1)
		[ "$said" = whole ] || bad "$image is damaged: $said"
	done
	pods=$(ids pods)
	[ -z "$pods" ] || berthctl rm $pods || bad "pods are not removed"
}
i=0
until berthctl version > /dev/null 2>&1; do
	[ $((i += 1)) -lt 500 ] || { bad "crid does not get ready"; berthctl status; exit; }
	sleep 0.2
done
grep -q '^/dev/vda3 /var ext4 rw' /proc/mounts || bad "/var is not mounted"
until berthctl status | grep -q '^node: running'; do
	[ $((i += 1)) -lt 600 ] || { bad "the node does not run"; berthctl status; break; }
	sleep 0.2
done
berthctl boot | awk 'NR > 1 && $NF != "-"' | grep . && bad "a step of the boot failed"
images=$(listed)
echo "listed:" $(berthctl images | awk 'NR > 1 { print $2 }') "pods: $(ids pods | wc -l)"
for tag in $must; do
	berthctl images | awk '{ print $2, $3 }' | grep -qx "$tag $(id "$tag")" || bad "$tag is lost"
done
for tag in $mustnot; do
	echo "$images" | grep -qx "$(id "$tag")" && bad "$tag is back"
done
pods=$(ids pods)
berthctl pods | sed 's,not ready,,' | grep -qw ready && bad "a pod survived"
[ -z "$pods" ] || berthctl rm $pods || bad "what was there is not removed"
[ -z "$(ids pods)$(ids ps -a)" ] || bad "pods or containers are listed after their removal"
whole $images
empty 60 $store/staging $store/trash $store/records
same= more=
for tag in a b c d e f; do
	if echo "$images" | grep -qx "$(id $tag)"; then
		same=$tag
	else
		more=$tag
	fi
done
for tag in $more $same; do
	berthctl pull "$name:$tag" > /dev/null || bad "$tag is not pulled"
done
[ -z "$more" ] || whole "$(id "$more")"
berthctl rmi $(listed) || bad "images are not removed"
[ -z "$(listed)" ] || bad "images are listed after their removal"
empty 60 $store/layers $store/images $store/blobs/sha256 $store/staging $store/trash
[ "$(find $store/active | grep -vxc -e $store/active -e $store/active/trash)" = 0 ] ||
	bad "left: $(find $store/active | head -n 5)"
dmesg | grep -i 'EXT4-fs error' && bad "the file system has errors"
echo "looked"
EOF2

# last_note WHAT: images whose last note is WHAT
last_note()
{
	awk -v what="$1" 'NF == 2 { last[$2] = $1 } END { for (i in last) if (last[i] == what) print i }' \
		"$WORK/notes" | sort | paste -sd ' '
}

# the same of the store alone, without a boot
cat > "$WORK/look-here" <<'EOF2'
bad() { echo "BAD $*"; }
disk=$1
mnt=$2
store=$mnt/lib/berth
pull() { "$BUILD/tests/sys/pull" "$store" --libexec "$BUILD/image" --mirror "cut.test=http://127.0.0.1:$port" "$@" 2>> "$mnt.log"; }
listed() { pull list | sed -n 's/^sha256:\(.\{13\}\).*/\1/p'; }
whole() {
	for image in "$@"; do
		mount -t overlay -o "ro,lowerdir=$(pull layers "$image" | paste -sd:)" overlay "$mnt.image" ||
			bad "$image has no layers"
		said=$(chroot "$mnt.image" /bin/sh /check 2>&1)
		[ "$said" = whole ] || bad "$image is damaged: $said"
		umount "$mnt.image"
	done
}
mkdir -p "$mnt" "$mnt.image"
if cmp -s -n 4096 "$disk" /dev/zero; then
	[ -z "$must" ] || bad "all is lost"
	echo "listed: no file system yet"
	echo looked
	exit
fi
# as in init/state.c: when it is not clean
e2fsck -p "$disk" > "$mnt.fsck" 2>&1
[ $? -le 1 ] || bad "$(cat "$mnt.fsck")"
mount -o loop,noatime "$disk" "$mnt" || { bad "the mount fails"; exit; }
mkdir -p "$store"
images=$(listed)
echo listed: $(pull list | sed -n 's/.*tag=[^ ]*:\([a-f]\) .*/\1/p')
for tag in $must; do
	pull list | grep -q "^sha256:$(id "$tag").*tag=[^ ]*:$tag " || bad "$tag is lost"
done
for tag in $mustnot; do
	echo "$images" | grep -qx "$(id "$tag")" && bad "$tag is back"
done
whole $images
pull sweep
for tag in a d; do
	pull pull "cut.test/honest/image:$tag" | grep -q ^ok || bad "$tag is not pulled"
done
whole $(id a) $(id d)
pull remove $(listed)
[ -z "$(listed)" ] || bad "images are listed after their removal"
left=$(find "$store"/{layers,images,blobs/sha256,staging,trash} -mindepth 1 | head -n 5)
[ -z "$left" ] || bad left: $left
umount "$mnt"
echo looked
EOF2

# booted SEED, mounted SEED: the state partition after a cut, and a look at it
booted()
{
	cp --sparse=always "$TOP/build/image/6.12/disk.img" "$WORK/disk" || return
	cut_disk "$1" "$(vm_state_start "$WORK/disk")" look || return
	boot --state "$WORK/disk" && vm_script "$WORK/script" > "$WORK/seen" 2>&1
	vm_kill
}

mounted()
{
	truncate -s 4G "$WORK/disk" && cut_disk "$1" 0 look-here || return
	BUILD=$BUILD port=$port unshare -m bash "$WORK/script" "$WORK/disk" "$WORK/mnt" > "$WORK/seen" 2>&1
}

# cut_disk SEED START SCRIPT
cut_disk()
{
	"$TOP/tests/vm/writelog.py" "$dir/log" cut "$(cat "$dir/start")" "$1" "$WORK/disk" "$2" \
		> "$WORK/notes" || return
	{
		echo "must='$(last_note pulled)' mustnot='$(last_note removed)'"
		echo "id() { case \$1 in $(sed 's/\(.*\) \(.*\)/\1) echo \2 ;;/' "$WORK/ids" | paste -sd ' ') esac; }"
		cat "$WORK/$3"
	} > "$WORK/script"
}

# one_cut HOW SEED AGAIN
one_cut()
{
	rm -rf "$WORK/vm" "$WORK/disk" "$WORK/seen"
	$1 "$2"
	echo "# $2: $(head -n 1 "$WORK/notes"); $(grep listed: "$WORK/seen")"
	if grep -qx looked "$WORK/seen" && ! grep -q '^BAD' "$WORK/seen"; then
		tap_pass "cut $2, $1"
		return
	fi
	tap_fail "cut $2, $1 (again by: $0 -r $3)"
	{
		tail -n 3 "$WORK/notes"
		cat "$WORK/seen"
		tail -n 30 "$WORK/vm/console.log" "$WORK/mnt.log"
	} 2> /dev/null | sed 's/^/#   /'
}

vm_image 6.12
for ((i = seed; i < seed + cuts; i++)); do
	one_cut booted "$i" "-f 0 1 $i"
done
for ((; i < seed + cuts + more; i++)); do
	one_cut mounted "$i" "-f 1 0 $i"
done
[ $tap_failed -ne 0 ] || [ -n "$again" ] || [ "$cuts" -eq 0 ] || rm -rf "$dir"
done_testing
