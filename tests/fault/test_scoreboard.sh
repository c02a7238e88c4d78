#!/usr/bin/env bash
# scoreboard.sh, with runs that are made up: every kind has figures in its row, and what is not so is not kept.
# Usage: test_scoreboard.sh SOURCE_DIR
set -euo pipefail

source_dir="$1"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
failures=0

# A repository of its own: the script keeps its files in the tree that it lies in.
mkdir -p "$scratch/tree/tests/fault" "$scratch/tree/docs"
cd "$scratch/tree"
cp "$source_dir/tests/fault/scoreboard.sh" tests/fault/
echo 1.2.3 >VERSION
git init -q .
git add .
git -c user.name=test -c user.email=test@localhost commit -q -m all
commit="$(git rev-parse --short HEAD)"

wrong() {
    echo "$*" >&2
    failures=$((failures + 1))
}

# keep NAME JSON [STATUS]: a run that prints JSON and ends with STATUS.
keep() {
    local status=0
    printf '%s\n' "$2" >"$scratch/printed"
    tests/fault/scoreboard.sh run "$1" bash -c "cat '$scratch/printed'; exit ${3:-0}" >/dev/null || status=$?
    if [ "$status" -ne "${3:-0}" ]; then
        wrong "$1: keeping it ended with $status"
    fi
}

# row NAME TEXT...: the rendered row has each TEXT.
row() {
    local name="$1" line text
    shift
    line="$(grep "^| $name |" docs/SCOREBOARD.md || true)"
    for text in "$@"; do
        if ! grep -qF -- "$text" <<<"$line"; then
            wrong "the row of $name lacks \"$text\": $line"
        fi
    done
}

# refused TEXT COMMAND...: `run` ends with 1, says TEXT, and keeps nothing.
refused() {
    local text="$1" status=0
    shift
    tests/fault/scoreboard.sh run refused "$@" 2>"$scratch/said" >/dev/null || status=$?
    if [ "$status" -ne 1 ] || ! grep -qF -- "$text" "$scratch/said" || [ -e docs/scoreboard/refused.json ]; then
        wrong "$*: ended with $status, kept it, or did not say \"$text\": $(cat "$scratch/said")"
    fi
}

sim='"version":"1.2.3","seeds":143474,"transactions":4728410,"committed":3358429,"transactions_per_minute":945058,"longest_heal_ms":10503'
keep sim "{$sim,\"not_as_declared\":2,\"failures\":[]}"
keep sim-red "{$sim,\"failures\":[{\"seed\":7,\"rule\":\"A1\"}]}" 1
# As the first version of the simulator wrote it.
keep sim-old "{$sim,\"not_reached\":19,\"failures\":[]}"
keep explore '{"transactions":1,"faults":2,"schedules":520000,"states":115588,"deepest":53,"complete":true,"broken":""}
{"transactions":2,"faults":1,"schedules":520000,"states":179491,"deepest":75,"complete":false,"broken":""}
{"transactions":1,"interactive":true,"faults":1,"schedules":17883,"states":10523,"deepest":51,"complete":true,"broken":""}
{"transactions":1,"interactive":false,"accepted":true,"faults":1,"schedules":0,"states":0,"deepest":63,"complete":true,"broken":""}'
keep matrix '{"version":"1.2.3","profile":"release","green":1249,"red":1,"troubles":[],"cells":[{"cell":"a"}],"impossible":[{"cell":"b"}]}' 1
keep nemesis '{"seed":1,"seconds":3600,"operations":100000,"committed":90210,"failed":77,"unknown":12,"plain_reads":2000,"fractured_reads":46,
"fractured_percent":2.3,"locking_cycles":{"G0":0,"G2":0},"checks":{"A1":"passed"},"faults":301,"faults_by_kind":{"kill":301},"heals":200,
"heal_mean_ms":900,"heal_max_ms":9321,"heals_late":0,"crashes":0,"history":"/tmp/x","passed":true}'
# As before it published what the check said.
keep nemesis-old '{"committed":5,"failed":0,"unknown":0,"faults":1,"heal_max_ms":9,"heals_late":0,"crashes":0,"passed":false}' 1
keep planted '{"planted":[
{"number":1,"title":"t","rules":"P-1","expected":"S","verdict":"caught","stages":[{"stage":"spec","verdict":"caught","seconds":1,"evidence":"e"},{"stage":"model","verdict":"caught","seconds":1,"evidence":"e"}]},
{"number":2,"title":"t","rules":"P-1","expected":"R","verdict":"ESCAPED","stages":[{"stage":"sim","verdict":"passed","seconds":1,"evidence":""}]}]}' 1
keep automatic '{"automatic":{"run":1750,"killed":1600,"by_spec":1500,"by_random":100,"by_sim":0,"equivalent":50,"listed":60,"unlisted":1,"rate":0.9412,
"mutants":[{"number":1,"name":"a","verdict":"killed"},{"number":2,"name":"lives","verdict":"survived","reason":null},{"number":3,"name":"c","verdict":"survived","reason":"pace: x"}]}}' 1
keep fuzz '{"version":"1.2.3","seconds_each":600,"executions":16600000,"targets":[{"target":"gid","executions":16000000,"result":"clean"},{"target":"coord","executions":600000,"result":"RED"}]}' 1
keep model '{"version":"1.2.3","model":{"right":3,"states":9512345,"rests":4,"planted":24,"planted_found":24,"failed":0}}'

tests/fault/scoreboard.sh render >/dev/null
row sim passed '143 474 seeds' '4 728 410 transactions' '945 058 a minute' '10 503 ms' '2 not reached as declared' "1.2.3 ($commit)"
row sim-red '**failed**' 'failing: A1 at seed 7'
row sim-old passed '143 474 seeds'
row explore passed '1 057 883 schedules' '305 602 situations' '1 transaction with up to 2 faults: all' \
    '2 transactions with up to 1 faults: a part' '1 interactive transaction with up to 1 faults: all' \
    '1 accepted transaction with up to 1 faults: all'
row matrix '**failed**' '1 249 cells green' '1 red' 'profile release'
row nemesis passed '100 000 requests' '90 210 transactions committed' '301 faults' '9 321 ms' '2.3 % of 2 000 plain reads fractured' \
    '0 cycles of locking reads' 'history: pass'
row nemesis-old '**failed**' '5 transactions committed' 'history: fail'
row planted '**failed**' '1 of 2 caught' 'spec 1' '2 (ESCAPED)'
row automatic '**failed**' '1 600 of 1 750 killed' '94.1 %' '50 equivalent, 60 others with a reason, 1 without'
row fuzz '**failed**' '16 600 000 executions' '2 targets' 'red: coord'
row model passed '9 512 345 states of 3 right models' '24 of 24 planted bugs found' '4 searches for cycles'
if grep -nE '\|[[:space:]]+\||null' docs/SCOREBOARD.md >&2; then
    wrong "something is blank"
fi
if jq -e '.result[0].automatic | .mutants != null or .survivors != ["lives"]' docs/scoreboard/automatic.json >/dev/null; then
    wrong "of the mutants, more or less than the survivors is kept"
fi
if jq -e '.result[0] | .cells != null or .impossible != null' docs/scoreboard/matrix.json >/dev/null; then
    wrong "every cell is kept"
fi

refused 'printed no JSON' true
refused 'printed no JSON' echo
refused 'printed no JSON' echo 'all is well'
refused 'printed no JSON' echo '17'
refused 'no row' echo '{"something":"else"}'
refused 'no row' echo '{"automatic":{"run":5}}'
refused 'no row' echo '{"green":5}'

# Without a name or a command there is nothing to run.
for arguments in '' 'sim' 'Sim true'; do
    status=0
    # shellcheck disable=SC2086 # words
    tests/fault/scoreboard.sh run $arguments >/dev/null 2>&1 || status=$?
    [ "$status" -eq 64 ] || wrong "run $arguments ends with $status"
done

# A program that says which commit it is of is believed: the tree may have gone on since it was built.
keep built '{"version":"0.1.0","commit":"0123abc","green":1,"red":0,"profile":"ci"}'
tests/fault/scoreboard.sh render >/dev/null
grep -q '^| built .*(0123abc)' docs/SCOREBOARD.md || wrong "the program's own commit is not shown"
rm docs/scoreboard/built.json

# The version is that of the tree before the run; what the script writes does not make it dirty, anything else does.
tests/fault/scoreboard.sh run during bash -c "echo x >new; echo '{\"green\":1,\"red\":0,\"profile\":\"ci\"}'" >/dev/null
if [ "$(jq -r .commit docs/scoreboard/during.json)" != "$commit" ]; then
    wrong "the version is not that before the run: $(jq -r .commit docs/scoreboard/during.json)"
fi
keep after '{"green":1,"red":0,"profile":"ci"}'
rm new
if [ "$(jq -r .commit docs/scoreboard/after.json)" != "$commit-dirty" ]; then
    wrong "a tree with an unknown file counts as $(jq -r .commit docs/scoreboard/after.json)"
fi
echo 1.2.4 >VERSION
keep changed '{"green":1,"red":0,"profile":"ci"}'
if [ "$(jq -r .commit docs/scoreboard/changed.json)" != "$commit-dirty" ]; then
    wrong "a changed tree counts as $(jq -r .commit docs/scoreboard/changed.json)"
fi

# A kept file that no row shows leaves the page as it was.
cp docs/SCOREBOARD.md "$scratch/page"
echo '{"name":"odd","date":"2026-01-01","version":"1","commit":"x","command":"c","seconds":1,"exit":0,"result":[]}' >docs/scoreboard/odd.json
if tests/fault/scoreboard.sh render >/dev/null 2>&1 || ! cmp -s docs/SCOREBOARD.md "$scratch/page"; then
    wrong "a file without figures was rendered"
fi

[ "$failures" -eq 0 ]
