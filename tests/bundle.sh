# SPDX-License-Identifier: GPL-2.0-or-later
#
# Sourced behind tap.sh: OCI bundles with Debian's busybox.
#
#	bundle NAME [JQ-FILTER]   makes $WORK/NAME: a rootfs and a config.json like
#	                          that of a Kubernetes container, changed by the filter;
#	                          args and the like are easily set: .process.args = [...],
#	                          and $script in it is the caller's variable
#	run FILTER SCRIPT         what a container's sh -c SCRIPT prints, or the error
#	busybox_rootfs DIR        the rootfs alone
#	busybox_image DIR ARCHIVE an image of it by umoci, copied by skopeo into an
#	                          archive as berth.test/busybox:1; else image.log says why
#	oci ARGUMENTS...          berth-oci with its state in $root, for two minutes at most
root=$WORK/state
CAPS='["CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_FSETID","CAP_FOWNER","CAP_MKNOD","CAP_NET_RAW",
"CAP_SETGID","CAP_SETUID","CAP_SETFCAP","CAP_SETPCAP","CAP_NET_BIND_SERVICE","CAP_SYS_CHROOT",
"CAP_KILL","CAP_AUDIT_WRITE"]'

oci()
{
	timeout --foreground 120 "$BUILD/runtime/berth-oci" --root "$root" "$@"
}

busybox_rootfs()
{
	local applet
	mkdir -p "$1"/{bin,dev,proc,sys,etc,tmp,root,home}
	cp "$(command -v busybox)" "$1/bin/busybox"
	for applet in sh cat cut echo env find grep head hostname id kill ls mkfifo mknod mount \
		ping printf ps pwd readlink sleep sort stat stty tee test touch tr true tty umount wc; do
		ln -s busybox "$1/bin/$applet"
	done
	printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n' > "$1/etc/passwd"
}

busybox_image()
{
	local from=$WORK/layout:busybox

	{
		umoci init --layout "$WORK/layout" && umoci new --image "$from" && umoci insert --image "$from" "$1" / &&
			umoci config --image "$from" --config.cmd sh --config.env PATH=/bin &&
			skopeo copy "oci:$from" "oci-archive:$2:berth.test/busybox:1"
	} > "$WORK/image.log" 2>&1
}

bundle()
{
	local dir=$WORK/$1
	[ -d "$dir/rootfs" ] || busybox_rootfs "$dir/rootfs"
	jq -n --arg script "${script-}" --argjson caps "$CAPS" --slurpfile seccomp "$TOP/tests/data/seccomp.json" \
		--arg cgroup "/test/$1" '{
		ociVersion: "1.2.0",
		process: {
			terminal: false, cwd: "/", args: ["sh", "-c", "true"],
			env: ["PATH=/bin", "TERM=xterm"],
			user: { uid: 0, gid: 0 },
			capabilities: { bounding: $caps, effective: $caps, permitted: $caps },
			noNewPrivileges: true
		},
		root: { path: "rootfs", readonly: false },
		hostname: "berth",
		mounts: [
			{ destination: "/proc", type: "proc", source: "proc",
			  options: ["nosuid", "noexec", "nodev"] },
			{ destination: "/dev", type: "tmpfs", source: "tmpfs",
			  options: ["nosuid", "strictatime", "mode=755", "size=65536k"] },
			{ destination: "/dev/pts", type: "devpts", source: "devpts",
			  options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666",
			            "mode=0620", "gid=5"] },
			{ destination: "/dev/mqueue", type: "mqueue", source: "mqueue",
			  options: ["nosuid", "noexec", "nodev"] },
			{ destination: "/sys", type: "sysfs", source: "sysfs",
			  options: ["nosuid", "noexec", "nodev", "ro"] },
			{ destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup",
			  options: ["nosuid", "noexec", "nodev", "relatime", "ro"] },
			{ destination: "/dev/shm", type: "tmpfs", source: "shm",
			  options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"] }
		],
		linux: {
			cgroupsPath: $cgroup,
			resources: { devices: [{ allow: false, access: "rwm" }] },
			namespaces: ("pid network ipc uts mount cgroup" | split(" ") | map({ type: . })),
			maskedPaths: ("/proc/acpi /proc/kcore /proc/keys /proc/latency_stats " +
				"/proc/timer_list /proc/timer_stats /proc/sched_debug /proc/scsi " +
				"/sys/firmware /sys/devices/virtual/powercap" | split(" ")),
			readonlyPaths: ("/proc/asound /proc/bus /proc/fs /proc/irq /proc/sys " +
				"/proc/sysrq-trigger" | split(" ")),
			seccomp: $seccomp[0]
		}
	} | '"${2:-.}" > "$dir/config.json"
}

run()
{
	local script=$2
	bundle inside "$1 | .process.args = [\"sh\", \"-c\", \$script]" || return
	oci run --bundle "$WORK/inside" inside < /dev/null 2>&1
}
