#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Kubernetes' conformance tests of a CRI runtime against a whole node.
# tests/peers/critest.expected names the specs that fail and why; a spec that
# fails without being there is a failure here, and so is one there that passes.
#
#	CRITEST_FOCUS=REGEX    runs the matching specs only
. "$(dirname "$0")/../tap.sh"

peers=$("$TOP/tests/peers/install" critest 2> "$WORK/install.log") ||
	skip_all "critest cannot be built: $(tail -n 1 "$WORK/install.log")"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/berth-peers/registry
ok "images are in a registry" "$TOP/tests/peers/registry" fill "$cache" || done_testing

node=$TOP/tests/node
dir=$WORK/node
mirrors=()
for host in registry.k8s.io k8s.gcr.io gcr.io public.ecr.aws; do
	mirrors+=(--mirror "$host=http://127.0.0.1:5000")
done
at_exit "$node down $dir > /dev/null 2>&1"
ok "a node comes up" "$node" up "$dir" "${mirrors[@]}" || done_testing
. "$dir/env"
"$node" enter "$dir" "$TOP/tests/peers/registry" serve "$cache" 5000 &
wait_for 20 "$node" enter "$dir" curl -fs http://127.0.0.1:5000/v2/

focus=()
[ -z "${CRITEST_FOCUS-}" ] || focus=(--ginkgo.focus "$CRITEST_FOCUS")
mkdir -p "$dir/tmp"
TMPDIR=$dir/tmp timeout -k 10 1000 "$node" enter "$dir" "$peers/critest" \
	--runtime-endpoint "$ENDPOINT" --ginkgo.no-color --ginkgo.timeout 900s \
	--runtime-service-timeout 60s --ginkgo.junit-report "$dir/tmp/critest.xml" "${focus[@]}" \
	> "$TOP/build/critest.log" 2>&1
pid=$PID
. "$dir/env"
is "crid lived through all of it" "$PID" "$pid"

python3 - "$dir/tmp/critest.xml" "$WORK" <<'PY'
import re, sys, xml.etree.ElementTree as tree
out = {'passed': [], 'failed': [], 'skipped': []}
for case in tree.parse(sys.argv[1]).iter('testcase'):
    name = re.sub(r'^\[It\] ', '', case.get('name'))
    name = re.sub(r'\s*\[(Conformance|Serial)\]', '', name).strip()
    if case.get('status') in ('passed', 'failed', 'skipped'):
        out[case.get('status')].append(name)
    elif case.get('status') in ('timedout', 'panicked', 'interrupted', 'aborted'):
        out['failed'].append(name)
for status, names in out.items():
    with open(f'{sys.argv[2]}/{status}', 'w') as f:
        f.writelines(f'{n}\n' for n in sorted(set(names)))
PY
cp "$WORK/failed" "$TOP/build/critest.failed" 2> /dev/null
cp "$WORK/passed" "$TOP/build/critest.passed" 2> /dev/null
while IFS= read -r spec; do
	tap_pass "$spec"
done < <(cat "$WORK/passed" 2> /dev/null)
sed -n 's/^\([^#].*[^ ]\)  *=> .*/\1/p' "$TOP/tests/peers/critest.expected" | sort > "$WORK/expected"
while IFS= read -r spec; do
	if grep -qxF -- "$spec" "$WORK/expected"; then
		skip "$spec" "known to fail: $(grep -F -- "$spec  =>" \
			"$TOP/tests/peers/critest.expected" | sed 's/.*=> //')"
	else
		tap_fail "$spec"
	fi
done < <(cat "$WORK/failed" 2> /dev/null)
if [ -z "${CRITEST_FOCUS-}" ]; then
	while IFS= read -r spec; do
		tap_fail "expected to fail, but passes: $spec"
	done < <(comm -12 "$WORK/expected" "$WORK/passed")
	echo "# $(wc -l < "$WORK/passed") passed, $(wc -l < "$WORK/failed") failed, $(wc -l < "$WORK/skipped") skipped"
	ok "at least 75 specs pass" test "$(wc -l < "$WORK/passed")" -ge 75
fi
"$node" down "$dir" > "$WORK/down.log" 2>&1
is "the node went down" "$?" 0
done_testing
