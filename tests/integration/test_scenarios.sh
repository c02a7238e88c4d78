#!/usr/bin/env bash
# test_scenarios.sh CASE - the stories of examples/scenarios as a user runs them, `assent demo run NAME --json`, small. What the summary
# says is held against what the case must have: a verdict over nothing would be yes, too.
# shellcheck source=tests/integration/demo_lib.sh
source "$(dirname "$0")/demo_lib.sh"

port=$(free_port)
summary=$work/summary.json

# run NAME OPTIONS...: must end with verdict yes. Progress goes to $work/err.
run() {
    local name=$1 code=0
    shift
    "$assent" demo run "$name" --dir "$demo" --port "$port" --json "$@" >"$summary" 2>"$work/err" || code=$?
    if [ "$code" -ne 0 ]; then
        cat "$work/err" >&2
        jq . "$summary" >&2 || cat "$summary" >&2
        fail "$name: exit code $code"
    fi
    is '.scenario' "$name"
    is '.verdict' yes
    is '[.checks[].yes] | all' true
    is '.checks | length >= 6' true
    is '[.checks[].statements[] | .sql | startswith("SELECT ")] | all' true
}

# is FILTER VALUE
is() {
    local found
    found=$(jq -r "$1" "$summary")
    [ "$found" = "$2" ] || {
        jq . "$summary" >&2
        fail "$1 is \"$found\" instead of \"$2\""
    }
}

# result QUESTION: what the (first) statement of the check gave.
result() {
    jq -r --arg question "$1" '[.checks[] | select(.question == $question)][0].statements[0].result' "$summary"
}

# ask PARTICIPANT SQL: this test's own look.
ask() {
    local conninfo
    conninfo=$("$assent" demo status --json --dir "$demo" | jq -r --arg participant "$1" \
        '.databases[] | select(.participant == $participant) | .conninfo')
    "${ASSENT_PG_BINDIR:-/usr/lib/postgresql/15/bin}/psql" -wXAtq -v ON_ERROR_STOP=1 -d "$conninfo" -c "$2"
}

# pid ROLE [PARTICIPANT]
pid() {
    "$assent" demo status --json --dir "$demo" | jq -r --arg role "$1" --arg participant "${2:-}" \
        '.processes[] | select(.role == $role and (.participant // "") == $participant) | .pid // empty'
}

# Two carts of six shoppers, five presses each: all of one cart got one answer, and the first press never had one.
case_checkout_retry() {
    run checkout-retry --shoppers 6
    is '.figures.carts' 12
    is '.figures.kills' 1
    is '.figures.timed_out >= 6' true
    is '.figures.replayed >= 18' true
    [ "$(result 'one order of each cart')" = '12 12' ] || fail "orders"
    [ "$(ask order 'SELECT count(*) FROM checkout_retry.orders')" = 12 ] || fail "orders, as psql sees them"
    [ "$(ask payment 'SELECT count(DISTINCT cart) FROM checkout_retry.payments')" = 12 ] || fail "payments"
    [ "$(ask order 'SELECT min(n) FROM (SELECT count(*) AS n FROM checkout_retry.answers GROUP BY cart) AS c')" -ge 4 ] ||
        fail "presses without an answer"
    # Again in the same demo: made anew, and keys of the run before do not answer. The quick start's tables are left alone.
    run checkout-retry --shoppers 2 --kills 0 --seed 7
    is '.figures.carts' 2
    is '.seed' 7
    [ "$(ask order 'SELECT count(*) FROM checkout_retry.orders')" = 2 ] || fail "orders of the second run"
    [ "$(ask order 'SELECT count(*) FROM public.orders')" = 0 ] || fail "a scenario wrote into the quick start's tables"
}

case_expired_card() {
    run expired-card --shoppers 7
    is '.refusal.status' 409
    is '.refusal.reason' row_count
    is '.refusal.participant' payment
    is '.refusal.was_reserved' true
    is '[.history[] | select(.kind == "voted-commit") | .participant] | sort | join(" ")' 'inventory order'
    is '[.history[] | select(.kind == "voted-abort") | .participant] | join(" ")' payment
    [ "$(ask inventory "SELECT stock FROM expired_card.products WHERE id = 'vase'")" = 0 ] || fail "vases are left"
    [ "$(ask payment 'SELECT count(*) FROM expired_card.payments')" = 5 ] || fail "payments"
    # A demo of two databases gets the third; one that has it keeps it.
    [ "$("$assent" demo status --json --dir "$demo" | jq -c '[.databases[].participant]')" = \
        '["order","payment","inventory"]' ] || fail "participants"
}

case_reservation() {
    run reservation --items 10 --shoppers 40
    is '[.ways[].way] | join(" ")' 'optimistic row-lock advisory'
    is '[.ways[] | [.sold, .sold_out, .otherwise, .lowest_stock_seen] | join("/")] | join(" ")' '10/30/0/0 10/30/0/0 10/30/0/0'
    [ "$(result 'the walker saw the stock go and come back, once')" = '3 2 3 3' ] || fail "the walk"
    [ "$(ask inventory 'SELECT sum(stock) FROM reservation.products')" = 3 ] || fail "stock"
    # More items than shoppers: nobody goes without.
    run reservation --items 12 --shoppers 5 --at-once 5
    is '[.ways[].sold] | join(" ")' '5 5 5'
}

# Wrong use, and a verdict that is no: the databases are asked, so a lie in them is found.
case_command() {
    expect 64 "$assent" demo run
    expect 64 "$assent" demo run no-such-story
    expect 64 "$assent" demo run checkout-retry --shoppers none
    expect 64 "$assent" demo run --list something
    expect 0 "$assent" demo run --help
    expect 0 "$assent" demo run expired-card --help
    grep -q 'without any compensation' "$work/out" || fail "help of a scenario"
    expect 0 "$assent" demo run --list
    [ "$(wc -l <"$work/out")" -ge 3 ] || fail "list"
    expect 0 "$assent" demo --json run --list
    for name in $(jq -r '.scenarios[].name' "$work/out"); do
        expect 0 "$assent" demo run "$name" --help
        [ -e "${ASSENT_SOURCE_DIR:?}/examples/scenarios/$name/story.md" ] || fail "$name has no story"
    done

    # Options in front of `run` are the scenario's, too.
    expect 0 "$assent" demo --dir "$demo" --port "$port" run checkout-retry --shoppers 2 --kills 0
    [ -d "$demo/postgres" ] || fail "another folder"
    # A database in which every order is written twice: that is found.
    ask order "CREATE FUNCTION lie() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN
            INSERT INTO checkout_retry.orders (cart, customer, amount) VALUES (NEW.cart, NEW.customer, NEW.amount);
            RETURN NULL; END \$\$;
        CREATE FUNCTION prepare_lie() RETURNS event_trigger LANGUAGE plpgsql AS \$\$ BEGIN
            IF 'checkout_retry.orders' IN (SELECT object_identity FROM pg_event_trigger_ddl_commands()) THEN
                CREATE TRIGGER lie AFTER INSERT ON checkout_retry.orders FOR EACH ROW WHEN (pg_trigger_depth() = 0)
                    EXECUTE FUNCTION public.lie();
            END IF; END \$\$;
        CREATE EVENT TRIGGER prepare_lie ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION prepare_lie()"
    expect 1 "$assent" demo run checkout-retry --dir "$demo" --shoppers 2 --kills 0 --json
    grep '^{' "$work/out" >"$summary"
    is '.verdict' no
    [ "$(result 'one order of each cart')" = '4 2' ] || fail "the lie"
    is '[.checks[] | select(.question == "one payment of each cart") | .yes] | all' true
    ask order 'DROP EVENT TRIGGER prepare_lie'

    # Somebody else has the scenario's lock.
    local conninfo
    conninfo=$("$assent" demo status --json --dir "$demo" | jq -r '.databases[0].conninfo')
    coproc PSQL { "${ASSENT_PG_BINDIR:-/usr/lib/postgresql/15/bin}/psql" -wXAtq -d "$conninfo"; }
    echo "SELECT pg_advisory_lock(hashtext('assent-demo-checkout-retry')), 'held';" >&"${PSQL[1]}"
    read -r <&"${PSQL[0]}"
    expect 69 "$assent" demo run checkout-retry --dir "$demo" --shoppers 2
    grep -q 'running in this demo already' "$work/out" || fail "no word about the other run"
    eval "exec ${PSQL[1]}>&-"
}

# Daemons are killed by pid all the time, by somebody who repairs the demo each time; the scenario kills assentd itself as well.
case_killed() {
    local rounds=0 victim scenario code=0
    expect 0 "$assent" demo up --dir "$demo" --port "$port"
    "$assent" demo run checkout-retry --dir "$demo" --json --shoppers 12 --kills 6 >"$summary" 2>"$work/err" &
    scenario=$!
    while kill -0 "$scenario" 2>/dev/null && [ "$rounds" -lt 12 ]; do
        case $((rounds % 3)) in
        0) victim=$(pid assentd) ;;
        1) victim=$(pid agent order) ;;
        2) victim=$(pid agent payment) ;;
        esac
        [ -z "$victim" ] || kill -9 "$victim" 2>/dev/null || true
        # It fails if the scenario kills what it has just started; the next round repairs that.
        "$assent" demo up --dir "$demo" >/dev/null 2>&1 || true
        rounds=$((rounds + 1))
    done
    expect 0 "$assent" demo up --dir "$demo"
    wait "$scenario" || code=$?
    if [ "$code" -ne 0 ]; then
        cat "$work/err" >&2
        jq . "$summary" >&2 || true
        fail "exit code $code after $rounds rounds of killing"
    fi
    is '.verdict' yes
    is '.figures.carts' 84
    is '.figures.without_answer > 0' true
    [ "$rounds" -ge 3 ] || fail "only $rounds rounds of killing"
    [ "$(ask order 'SELECT count(*) FROM checkout_retry.orders')" = 84 ] || fail "orders"
    [ "$(ask payment 'SELECT count(*) FROM checkout_retry.payments')" = 84 ] || fail "payments"
    echo "$rounds rounds of killing, $(jq -r '.figures.without_answer' "$summary") presses without an answer"
}

"case_${1//-/_}"
echo "the checks of $1 passed"
