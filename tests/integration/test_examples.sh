#!/usr/bin/env bash
# test_examples.sh - the clients of examples/: as examples/README.md prints them, and on bad days, against one demo. What
# they say is compared with what plain SQL finds. Answers that are hard to provoke: test_examples_answers.py.
# shellcheck source=tests/integration/demo_lib.sh
source "$(dirname "$0")/demo_lib.sh"

port=$(free_port)
export ASSENT_API=http://127.0.0.1:$port
export ASSENT_DEADLINE=60 # the machine may be busy
languages=(c python node shell)

status() {
    "$assent" demo status --json --dir "$demo"
}

# pid ROLE [PARTICIPANT]
pid() {
    status | jq -r --arg role "$1" --arg participant "${2:-}" \
        '.processes[] | select(.role == $role and (.participant // "") == $participant) | .pid'
}

# query PARTICIPANT SQL
query() {
    "${ASSENT_PG_BINDIR:-/usr/lib/postgresql/15/bin}/psql" -wXAtq -v ON_ERROR_STOP=1 -d "${conninfo[$1]}" -c "$2"
}

up() {
    expect 0 "$assent" demo up --dir "$demo" --port "$port" "$@"
}

# await_end PID: it may be anybody's child, and one that nobody has waited for yet (Z) has ended, too.
await_end() {
    # shellcheck disable=SC2016
    timeout 30 bash -c 'while grep -qs "^State:.[^ZX]" "/proc/$1/status"; do sleep 0.05; done' - "$1" ||
        fail "process $1 does not end"
}

# Where the README's commands expect the sources, the build and the demo, and a home of their own.
mkdir "$work/source" "$work/home"
ln -s "$ASSENT_SOURCE_DIR/examples" "$work/source/examples"
ln -s "$ASSENT_BUILD_DIR" "$work/source/build"
demo=$work/source/.assent-demo
export HOME=$work/home

# client LANGUAGE ARGUMENTS...
client() {
    local language=$1
    shift
    case $language in
    c) "$HOME/checkout" "$@" ;;
    python) python3 "$work/source/examples/python/checkout.py" "$@" ;;
    node) node "$work/source/examples/node/checkout.mjs" "$@" ;;
    shell) "$work/source/examples/shell/checkout.sh" "$@" ;;
    esac
}

# The interactive program, in those languages that have it.
discount() {
    local language=$1
    shift
    case $language in
    c) "$HOME/example-c/discount" "$@" ;;
    python) python3 "$work/source/examples/python/discount.py" "$@" ;;
    node) node "$work/source/examples/node/discount.mjs" "$@" ;;
    esac
}

# start LANGUAGE ARGUMENTS...: in the background; finish LANGUAGE CODE LINE waits and compares.
declare -A started
start() {
    "${program:-client}" "$@" >"$work/$1.out" 2>"$work/$1.err" &
    started[$1]=$!
}
finish() {
    local code=0
    wait "${started[$1]}" || code=$?
    if [ "$code" -ne "$2" ] || [ "$(cat "$work/$1.out")" != "$3" ]; then
        cat "$work/$1.err" >&2
        fail "$1: exit code $code, \"$(cat "$work/$1.out")\" instead of $2, \"$3\""
    fi
}

# exactly_once ORDER AMOUNT: one order and one payment, digit for digit.
exactly_once() {
    local found
    found="$(query order "SELECT amount FROM orders WHERE id = '$1'") $(query payment "SELECT amount FROM payments WHERE id = '$1'")"
    [ "$found" = "$2 $2" ] || fail "order $1: \"$found\" instead of \"$2 $2\""
}

nowhere() {
    [ "$(query order "SELECT count(*) FROM orders WHERE id = '$1'")" = 0 ] || fail "order $1 is there"
    [ "$(query payment "SELECT count(*) FROM payments WHERE id = '$1'")" = 0 ] || fail "order $1 is paid"
}

up
ASSENT_CLIENT=127.0.0.1:$((port + 1))
export ASSENT_CLIENT
grep -q "^libassent *tcp://$ASSENT_CLIENT$" "$work/out" || fail "the port of libassent is another one"
declare -A conninfo
for participant in order payment; do
    conninfo[$participant]=$(status | jq -r --arg participant "$participant" \
        '.databases[] | select(.participant == $participant) | .conninfo')
done

unset ORDER_DB
/usr/bin/python3 -c 'import psycopg2' 2>/dev/null || fail "python3-psycopg2 is not installed"

# 1. The page's commands, in its order: each ```sh block but those under "Before", with the ```text behind it.
awk -v folder="$work" '
    /^## / { heading = $0 }
    /^```(sh|text)$/ && heading != "## Before" {
        kind = substr($0, 4)
        block += kind == "sh"
        file = sprintf("%s/block-%02d.%s", folder, block, kind)
        next
    }
    /^```/ { file = ""; next }
    file != "" { print > file }' "$ASSENT_SOURCE_DIR/examples/README.md"
[ "$(ls "$work"/block-*.sh | wc -l)" -ge 8 ] && [ "$(ls "$work"/block-*.text | wc -l)" -ge 7 ] ||
    fail "the commands of the README were not found"
(
    cd "$work/source"
    for block in "$work"/block-*.sh; do
        expected=${block%.sh}.text code=0 wanted=0
        # shellcheck source=/dev/null
        source "$block" >"$work/out" 2>"$work/err" || code=$?
        if [ -e "$expected" ]; then
            grep -Eq 'declined|nothing was done' "$expected" && wanted=1
            tail -n 1 "$work/out" | diff "$expected" - || fail "the README promises another answer"
        fi
        [ "$code" -eq "$wanted" ] || fail "exit code $code: $(cat "$block" "$work/out" "$work/err")"
    done
)
for number in 101 102 103 105 106; do
    exactly_once "o-$number" 12.50
done
exactly_once o-107 20.00
exactly_once o-108 18.00
exactly_once o-109 18.00
nowhere o-104
exactly_once o-111 12.50
nowhere o-112

export ORDER_DB=${conninfo[order]}
# The program with a connection of its own: wrong use, an order that exists, the coordinator dies with the decision, before it.
external() {
    /usr/bin/python3 "$work/source/examples/python/external.py" "$@"
}
await_committed() {
    for _ in {1..300}; do
        [ "$(query order "SELECT count(*) FROM orders WHERE id = '$1'") $(query payment "SELECT count(*) FROM payments WHERE id = '$1'")" = "1 1" ] && return
        sleep 0.1
    done
    fail "order $1 does not come"
}
await_unprepared() {
    for _ in {1..300}; do
        [ "$(query order 'SELECT count(*) FROM pg_prepared_xacts') $(query payment 'SELECT count(*) FROM pg_prepared_xacts')" = "0 0" ] && return
        sleep 0.1
    done
    fail "something stays prepared"
}
expect 64 external only-one
expect 1 external o-111 c-1 12.50
grep -q "^order o-111: nothing was done: duplicate key" "$work/out" || fail "a duplicate key: $(cat "$work/out")"
up --fault-point c.decide.post_sync:kill
expect 2 external o-113 c-2 1.00
up
await_committed o-113
exactly_once o-113 1.00
up --fault-point c.vote.recv:kill
expect 2 external o-114 c-2 1.00
up
await_unprepared
nowhere o-114
export LD_LIBRARY_PATH=$HOME/.local/lib

# 2. The four that are alike: wrong use, a key with another body, not enough money, an amount with more digits than any machine's numbers.
amount=12345678901234567890.10
for language in "${languages[@]}"; do
    expect 64 client "$language" only-one
    query payment "INSERT INTO accounts VALUES ('a-$language', 100000000000000000000)"
    start "$language" "big-$language" "a-$language" "$amount"
done
for language in "${languages[@]}"; do
    finish "$language" 0 "order big-$language: paid, 87654321098765432109.90 left"
    exactly_once "big-$language" "$amount"
    start "$language" "big-$language" "a-$language" 1.00
done
for language in "${languages[@]}"; do
    code=0
    wait "${started[$language]}" || code=$?
    if [ "$code" -ne 64 ] || ! grep -q "^order big-$language: refused: ." "$work/$language.out"; then
        fail "$language: another body under the same key: exit code $code"
    fi
    start "$language" "poor-$language" c-3 5.01
done
for language in "${languages[@]}"; do
    finish "$language" 1 "order poor-$language: declined: not enough money"
    nowhere "poor-$language"
    start "$language" "none-$language" "a-$language" none
done
for language in "${languages[@]}"; do
    finish "$language" 1 "order none-$language: declined: invalid input syntax for type numeric: \"none\""
done

# 3. The coordinator is killed when it has just decided: only its journal knows. It starts again, and the client has waited.
for language in "${languages[@]}"; do
    up --fault-point c.decide.post_sync:kill
    victim=$(pid assentd)
    start "$language" "decided-$language" c-2 1.25
    await_end "$victim"
    [ "$(query payment 'SELECT count(*) FROM pg_prepared_xacts')" = 1 ] || fail "$language: nothing was prepared"
    up
    left=$(query payment "SELECT balance FROM accounts WHERE id = 'c-2'")
    finish "$language" 0 "order decided-$language: paid, $left left"
    exactly_once "decided-$language" 1.25
done

# 4. It is killed before it has decided, under all four at once: that transaction is aborted, then all of them commit.
up --fault-point c.vote.recv:kill
victim=$(pid assentd)
for language in "${languages[@]}"; do
    start "$language" "undecided-$language" "a-$language" 1.00
done
await_end "$victim"
up
for language in "${languages[@]}"; do
    finish "$language" 0 "order undecided-$language: paid, 87654321098765432108.90 left"
    exactly_once "undecided-$language" 1.00
done

# 5. The payment's database prepares and votes, but nobody finishes there: paid, and still to arrive.
mapfile -t finishers < <(query payment "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'assent-agent/%/finisher'")
[ "${#finishers[@]}" -gt 0 ] || fail "no session finishes branches"
kill -STOP "${finishers[@]}"
for language in "${languages[@]}"; do
    start "$language" "pending-$language" "a-$language" 1.00
done
for language in "${languages[@]}"; do
    finish "$language" 0 "order pending-$language: paid, 87654321098765432107.90 left (still being finished at payment)"
done
[ "$(query payment 'SELECT count(*) FROM pg_prepared_xacts')" = 4 ] || fail "the payments are not prepared"
kill -CONT "${finishers[@]}"

# 6. The payment's agent is gone, which every client is told at least once; it comes back, and they have waited.
agent=$(pid agent payment)
kill -9 "$agent"
await_end "$agent"
for language in "${languages[@]}"; do
    start "$language" "down-$language" "a-$language" 1.00
done
for language in "${languages[@]}"; do
    timeout 30 bash -c "until grep -q '^again in ' '$work/$language.err'; do sleep 0.1; done" ||
        fail "$language: nobody refused it"
    nowhere "down-$language"
done
up
for language in "${languages[@]}"; do
    finish "$language" 0 "order down-$language: paid, 87654321098765432106.90 left"
    exactly_once "down-$language" 1.00
    exactly_once "pending-$language" 1.00
done

# 7. Statement by statement, and the coordinator is killed: just after the decision, when the same commit tells the outcome; and before
# it, when the transaction is gone and all begins anew. Without money nothing is left anywhere.
program=discount
for language in c python node; do
    for point in c.decide.post_sync c.vote.recv; do
        up --fault-point "$point:kill"
        victim=$(pid assentd)
        query order "DELETE FROM orders WHERE customer = 'c-7'"
        query payment "DELETE FROM payments WHERE account = 'c-7'; UPDATE accounts SET balance = 1000 WHERE id = 'c-7'"
        start "$language" "talk-$point-$language" c-7 10.05
        await_end "$victim"
        up
        finish "$language" 0 "order talk-$point-$language: 10.05 paid after 0 earlier orders, 989.95 left"
        exactly_once "talk-$point-$language" 10.05
    done
    expect 64 discount "$language" only-one
    start "$language" "talk-poor-$language" c-3 99
    finish "$language" 1 "order talk-poor-$language: declined: not enough money"
    nowhere "talk-poor-$language"
done
query order "DELETE FROM orders WHERE customer = 'c-7'"
query payment "DELETE FROM payments WHERE account = 'c-7'; UPDATE accounts SET balance = 10000 WHERE id = 'c-7'"

# 8. Nobody is there at all.
program=client
victim=$(pid assentd)
kill -9 "$victim"
await_end "$victim"
for language in "${languages[@]}"; do
    ASSENT_DEADLINE=1 start "$language" "nobody-$language" "a-$language" 1.00
done
for language in "${languages[@]}"; do
    finish "$language" 69 "order nobody-$language: not available, nothing was done"
    nowhere "nobody-$language"
done
program=discount
for language in c python node; do
    ASSENT_DEADLINE=1 start "$language" "nobody-$language" c-1 1.00
    code=0
    wait "${started[$language]}" || code=$?
    [ "$code" -eq 69 ] || fail "$language: nobody is there, and the exit code is $code: $(cat "$work/$language.out")"
    nowhere "nobody-$language"
done

# All together: the orders are the payments, and what was paid is what left the accounts.
up
[ "$(query order "SELECT string_agg(id || ' ' || amount, ',' ORDER BY id COLLATE \"C\") FROM orders")" = \
    "$(query payment "SELECT string_agg(id || ' ' || amount, ',' ORDER BY id COLLATE \"C\") FROM payments")" ] ||
    fail "orders and payments differ"
[ "$(query payment "SELECT 400000000000000011255.00 - (SELECT sum(balance) FROM accounts) = (SELECT sum(amount) FROM payments)")" = t ] ||
    fail "the sum of the accounts"
for participant in order payment; do
    [ "$(query "$participant" 'SELECT count(*) FROM pg_prepared_xacts')" = 0 ] || fail "prepared at $participant"
done

echo "all example checks passed"
