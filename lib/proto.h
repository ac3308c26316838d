/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every message between our processes (lib/msg.h has the frame). Bodies are
 * JSON objects. A request is answered once, by PROTO_OK with the members
 * named here or by PROTO_ERROR, with the request's id; events carry id 0.
 */
#pragma once

#define PROTO_VERSION 1

/* To berth-shim when it runs from somewhere without a name: where berth-pause is. */
#define SHIM_LIBEXEC_ENV "BERTH_LIBEXEC"

/* Answers, for every protocol below. */
enum proto_answer {
	PROTO_OK = 1, /* what the request names */
	PROTO_ERROR = 2, /* {"errno": N, "message": TEXT} */
};

/*
 * crid (client) to a pod's shim (server), on /run/berth/pods/ID/shim.sock.
 * Many clients may be connected; events go to all that said hello; a client
 * that does not take them is disconnected. "ctr" and "exec" are ids of 64 hex
 * digits. Times are Unix time in nanoseconds. The protocol is frozen: another
 * version, an unknown request and an unknown member are refused by name.
 *
 * A stream's descriptors: stdin is a read end, stdout and stderr are write
 * ends; "stdin", "stdout", "stderr" (booleans) say which ones are attached,
 * in that order. With a terminal there is no stderr. An exec without a
 * terminal gets them as its own; else the shim copies (they must be pollable).
 */
enum proto_shim {
	/* {"version": 1} -> {"version", "engine", "pid", "pause_pid"}; fds: network namespace.
	 * First message. */
	SHIM_HELLO = 100,
	/* {} -> {"containers": [{"ctr", "state", "pid", "created_at", "started_at", "exit": EXIT}],
	 * "pause_pid"}; state: created, running, exited. pause_pid is 0 when there is none. */
	SHIM_STATE = 101,
	/*
	 * {"ctr", "bundle", "log_path", "terminal", "stdin", "stdin_once",
	 *  "log_max_bytes", "missing_controllers_warn"} with the rootfs as a
	 * detached mount, or without it for root.path of config.json ->
	 * {"pid"}. log_path "" keeps no log; its folder exists. log_max_bytes: of one file until it
	 * is reopened, 0 for no limit. The end is recorded in BUNDLE/exit (lib/record.h, kind
	 * "exit", the members of EXIT and "ctr") before it is told.
	 */
	SHIM_CREATE = 102,
	SHIM_START = 103, /* {"ctr"} -> {"started_at"}: the program runs, or it is an error and the
			     container is gone */
	SHIM_KILL = 104, /* {"ctr", "signal": N, "all": BOOL} -> {} */
	SHIM_DELETE = 105, /* {"ctr"} -> {}: kills what lives, frees the container */
	/*
	 * {"ctr", "exec", "process": OCI process object, "stdin", "stdout",
	 *  "stderr", "timeout_ms"} with the stream's descriptors -> {"pid"}.
	 * process.terminal true: the shim owns the pty and pumps. When
	 * timeout_ms (0: none) is over, every process of the session is killed.
	 * The sessions of a client that went away are hung up, and killed 10 s
	 * later.
	 * Without "process" its text is in a file, the descriptor behind the
	 * stream's: an environment may be longer than a message.
	 */
	SHIM_EXEC = 106,
	SHIM_EXEC_KILL = 107, /* {"exec", "signal"} -> {}: every process of the session */
	SHIM_ATTACH = 108, /* {"ctr", "stdin", "stdout", "stderr"} with descriptors -> {} */
	SHIM_RESIZE = 109, /* {"ctr" or "exec", "width", "height"} -> {} */
	SHIM_REOPEN_LOG = 110, /* {"ctr"} -> {}: later lines go to a new file at log_path */
	SHIM_CONNECT = 111, /* {"port"} -> {} and a TCP socket to localhost:port of the pod */
	SHIM_UPDATE = 112, /* {"ctr", "resources": OCI linux.resources} -> {} */
	SHIM_SHUTDOWN =
		113, /* {} -> {}: kills everything of the pod; the shim exits after the answer */

	/* EXIT is {"code": N, "signal": N or 0, "at", "oom": BOOL, "reason": TEXT}; code is 128 +
	 * signal for a signal; reason: Completed, Error, OOMKilled */
	SHIM_EVENT_EXIT = 150, /* {"ctr", "exit": EXIT} */
	SHIM_EVENT_EXEC_EXIT = 151, /* {"ctr", "exec", "exit": EXIT, "timed_out": BOOL} */
	SHIM_EVENT_PAUSE_EXIT = 152, /* {}: the shared pid namespace is gone, and all in it */
};

/* An operator's tool to PID 1, on /run/berth/init.sock. init/ctlsock.h has the bodies. */
enum proto_init {
	INIT_STATUS = 200, /* {} -> {"phase", "mode", "services": [...]} */
	INIT_BOOT = 201, /* {} -> {"steps": [{"name", "us", "at_us", "error"}]} */
	INIT_RESTART = 202, /* {"service"} -> {} */
	INIT_STOP = 203, /* {"service"} -> {} */
	INIT_START = 204, /* {"service"} -> {} */
	INIT_POWEROFF = 205, /* {} -> {}, then the node goes down */
	INIT_REBOOT = 206,
	INIT_LOG = 207, /* {} -> {} and the descriptor of the rings of lines (lib/ring.h) */
};

/* crid to its network worker, on the worker's descriptor 3. net/podnet.h has the bodies. */
enum proto_net {
	NET_ATTACH = 300, /* {"pod", ...} and the pod's network namespace -> the addresses */
	NET_DETACH = 301, /* {"pod"} -> {}; absent is fine */
	NET_SYNC = 302, /* {"pods": [ID...]} -> {}: everything of other pods is removed */
	NET_CONFIG = 303, /* {"pod_cidrs": [...]} -> {} */
};
