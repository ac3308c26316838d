/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * In builds with sanitizers: how the programs want them, since most of them
 * are started with an environment of their own. The unit tests leave it out.
 */

/* the linker is told that the programs want this: what they link brings the rest along */
extern const int berth_sanitizers;
const int berth_sanitizers = 1;

/* the sanitizer calls it before main() */
const char *__asan_default_options(void);

/*
 * The search for leaks at the end stops its process by ptrace, which no
 * sandbox allows, and finds what was never meant to be given back: a process
 * ends with what it holds. tests/sys/lives.sh looks at what stays.
 */
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
