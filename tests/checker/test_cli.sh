#!/usr/bin/env bash
# assent-fault and assent-fault check from outside: exit codes, output, files.
# Usage: test_cli.sh BIN_DIR WORLD
set -euo pipefail

bin="$1" world="$2"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
failures=0

# expect STATUS TEXT COMMAND...: ends with STATUS and says TEXT somewhere.
expect() {
    local wanted="$1" text="$2" status=0 output
    shift 2
    output="$("$@" 2>&1)" || status=$?
    if [ "$status" -ne "$wanted" ] || ! grep -qF -- "$text" <<<"$output"; then
        printf '%s\n  ended with %s, not %s, or did not say "%s":\n%s\n' \
            "$*" "$status" "$wanted" "$text" "${output:0:2000}" >&2
        failures=$((failures + 1))
    fi
}

# require WHAT COMMAND...
require() {
    local what="$1"
    shift
    if ! "$@"; then
        echo "not so: $what" >&2
        failures=$((failures + 1))
    fi
}

"$world" 1 2000 >good
"$world" 1 2000 50 50 >plain
"$world" 1 2000 0 0 7 >torn
"$world" 1 2000 0 0 8 >stale
head -n 100 good >cut.jsonl
sed '50s/"t_inv":/"t_inv":"x"/' good >typed

# The dispatcher.
expect 64 'Usage' "$bin/assent-fault"
expect 0 'judges a history' "$bin/assent-fault" --help
expect 0 'mutants' "$bin/assent-fault" help
expect 0 'assent-fault ' "$bin/assent-fault" --version
expect 64 'no command `chekc`' "$bin/assent-fault" chekc good
expect 0 'HISTORY' "$bin/assent-fault" help check
expect 0 'HISTORY' "$bin/assent-fault" check --help
expect 0 'no violation found' "$bin/assent-fault" check good
# It looks beside itself, not in PATH.
mkdir alone
cp "$bin/assent-fault" alone/
expect 69 'not installed here' env PATH="$bin" alone/assent-fault check good

# Verdicts.
check="$bin/assent-fault-check"
expect 0 'Verdict: no violation found' "$check" good
expect 0 'no violation' "$check" - <good
expect 1 'Verdict: the contract was VIOLATED' "$check" torn
expect 1 'lost-element' "$check" torn
expect 0 'were fractured' "$check" plain
expect 64 'which history' "$check"
expect 64 'one history' "$check" good plain
expect 64 'names of checks' "$check" --require Z9 good
expect 64 'names of checks' "$check" --require '' good
expect 64 'unrecognized' "$check" --strange good
expect 65 'line 101' "$check" cut.jsonl
expect 65 'line 50' "$check" typed
expect 66 'No such file' "$check" missing
expect 0 'checked as far as it goes' "$check" --partial cut.jsonl
expect 1 'required and not checked: A1' "$check" --partial --require A1 cut.jsonl
expect 0 'no violation' "$check" --require A1,D1,X1,L1,C1,K1,H1,G1 good
expect 1 'Verdict: INCOMPLETE, though no violation was found; required and not checked: B1' "$check" --require all good
expect 1 'VIOLATED; required and not checked: B1' "$check" --require all torn
expect 74 'No such file' "$check" --html missing/page.html good
# ... and that is said before the history is read.
expect 74 'No such file' "$check" --html missing/page.html typed
expect 65 'line 50' "$check" --html fresh.html typed
expect 74 'No such file' "$check" --draw missing/drawings typed
expect 74 'Not a directory' "$check" --draw good typed
expect 65 'line 50' "$check" --draw fresh typed
require 'a folder without drawings is not there' test ! -e fresh
expect 74 '.: Is a directory' "$check" .
require 'a page that was not written is not there' test ! -e fresh.html

# Of a run that was cut nobody knows yet what a hand took apart; without a hand a wrong sum is a wrong sum.
cat >hand.jsonl <<'END'
{"type":"meta","version":1,"seed":1,"started":"2026-11-27T20:00:00Z","workloads":["W1"],"databases":["a","b"]}
{"type":"dump","t":0,"at":"begin","db":"a","balances":{"p":100}}
{"type":"dump","t":0,"at":"begin","db":"b","balances":{"q":100}}
{"type":"op","i":1,"client":"c","workload":"W1","key":"k","t_inv":10,"t_ret":20,"result":"ok","ops":[{"f":"add","db":"a","k":"p","v":-5,"seq":0},{"f":"add","db":"b","k":"q","v":5,"seq":0}]}
{"type":"nemesis","t":15,"n":1,"fault":"human-rollback","target":"b","phase":"point","heuristic":true,"keys":["k"]}
{"type":"op","i":2,"client":"c","workload":"W1","t_inv":30,"t_ret":40,"result":"ok","ops":[{"f":"total","db":"a","v":95},{"f":"total","db":"b","v":100}]}
END
expect 0 'no violation' "$check" --partial hand.jsonl
grep -v nemesis hand.jsonl >nohand.jsonl
expect 1 'global-read' "$check" --partial nohand.jsonl

# JSON.
require 'JSON of a good history' jq -e '.verdict == "pass" and .figures.transactions == 2000 and
    ([.checks[].id] == ["A1","D1","X1","L1","C1","K1","B1","H1","G1"])' <("$check" --json good) >/dev/null
require 'JSON of what was required' jq -e '.verdict == "incomplete" and .required_not_checked == ["B1"]' \
    <("$check" --json --require all good || true) >/dev/null
require 'JSON of what was not required' jq -e '.required_not_checked == []' <("$check" --json good) >/dev/null
require 'JSON of a bad one' jq -e '.verdict == "fail" and
    (.checks[] | select(.id == "G1") | .status == "failed" and (.findings | length > 0)
        and ([.findings[].cycle.steps[0].because] | length > 0))' \
    <("$check" --json stale || true) >/dev/null
require 'fractured reads in JSON' jq -e '.figures.fractured_reads > 0 and
    (.plain_read_cycles[0].allowed == true)' <("$check" --json plain) >/dev/null

# The page and the drawings stand on their own.
"$check" --html page.html --draw drawings stale >/dev/null || true
require 'the page is there' grep -q '</html>' page.html
require 'the page has a drawing' grep -q 'marker-end' page.html
require 'the page loads nothing' bash -c \
    '! grep -nE "(src|href)=|@import|url\((\"|'\''|http)" page.html'
require 'markup is escaped' bash -c '! grep -q "<planted>" page.html'
svg=(drawings/*.svg)
dot=(drawings/*.dot)
require 'a drawing as SVG' grep -q '^<svg' "${svg[0]}"
require 'a drawing for Graphviz' grep -q '^digraph' "${dot[0]}"

if [ "$failures" -gt 0 ]; then
    echo "$failures cases failed" >&2
    exit 1
fi
echo "assent-fault check does as it says"
