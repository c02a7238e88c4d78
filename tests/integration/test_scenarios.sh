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

# pid ROLE [PARTICIPANT]: nothing if it does not run; `status` is 1 then.
pid() {
    { "$assent" demo status --json --dir "$demo" || true; } | jq -r --arg role "$1" --arg participant "${2:-}" \
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
    is '.page.state | test("^abort")' true
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

# Both designs end well, alone and when who coordinates dies; what the outside reader counts is not nothing.
case_saga() {
    run saga --shoppers 60 --products 4 --rounds 1
    is '[.designs[] | .design + (if .killed then " killed" else "" end)] | join(", ")' 'assent, saga, assent killed, saga killed'
    is '[.designs[].checkouts] | join(" ")' '60 60 60 60'
    is '[.designs[] | .looks > 0 and .per_second > 0 and .p99_ms >= .p50_ms] | all' true
    # Whoever could pay got one of the things, as long as there were any: half of those who could pay, rounded up for each of four things.
    is '[.designs[] | select(.design == "assent") | .placed] | join(" ")' '20 20'
    is '[.designs[] | select(.design == "saga") | .placed + .sold_out + .card_refused] | join(" ")' '60 60'
    is '[.designs[] | select(.design == "assent") | .turned_away] | join(" ")' '0 0'
    # An orchestrator that is away leaves what was under way half done for that long.
    is '.designs[3] | .down_ms > 0 and .carts_half_done > 0 and .half_done_max_ms >= .down_ms / 2' true
    is '.lines_of_code | .assent > 20 and .saga > .assent and .saga_messages > .assent' true
    [ "$(ask order 'SELECT count(*) FROM saga.told')" = 240 ] || fail "shoppers who were told"
    [ "$(ask inventory "SELECT count(*) FROM saga.reservations WHERE round LIKE 'assent-%'")" = 40 ] || fail "reservations"
    [ "$(ask order "SELECT count(*) > 0 FROM saga.orders WHERE reason = 'card refused'")" = t ] || fail "no compensation took place"
    [ "$(ask inventory 'SELECT count(*) > 60 FROM saga.inbox')" = t ] || fail "the saga's messages"
    run saga --shoppers 5 --products 1 --rounds 2 --kills 0 --at-once 5
    is '[.designs[].rounds] | join(" ")' '2 2'
}

# Closed kitchens and empty accounts are refused, and nothing of those is anywhere; a rate is held if the machine allows.
case_delivery() {
    run delivery --shoppers 400 --rate 0 --at-once 16
    is '.figures | .placed + .closed + .payment_refused' 400
    is '.figures | .closed > 0 and .payment_refused > 0 and .looks > 0' true
    is '.figures | (.orders_per_second * 86400 / 9200000 - .times_the_average | fabs) < 0.01' true
    local placed
    placed=$(jq .figures.placed "$summary")
    [ "$(ask order 'SELECT count(*) FROM delivery.orders')" = "$placed" ] || fail "orders"
    [ "$(ask payment 'SELECT count(*) FROM delivery.payments')" = "$placed" ] || fail "payments"
    [ "$(ask restaurant 'SELECT count(DISTINCT order_id) FROM delivery.ticket_lines')" = "$placed" ] || fail "tickets"
    [ "$(ask restaurant 'SELECT sum(version) FROM delivery.menu')" = 20 ] || fail "changes of menus"
    run delivery --shoppers 60 --rate 30
    is '.figures | .seconds >= 1.9 and .rate_wanted == 30' true
}

# The database was away and the coordinator died. Who left the order in the queue was told 202 meanwhile, the others 503; half of those left for
# good, and nothing of theirs is anywhere.
case_upgrade() {
    run upgrade --shoppers 120 --rate 60
    is '.figures.shoppers' 120
    is '.figures | .came_while_away >= 15 and .accepted_while_away > 0 and .told_503_while_away > 0' true
    is '.figures | .accepted_while_away == .queued_while_away' true
    is '.figures | .accepted_while_away + .told_503_while_away == .came_while_away' true
    is '.figures | .told_max_ms < 1000 and .away_ms > 0 and .bought_at_once > 0 and .have_left > 0' true
    local stayed
    stayed=$(jq '.figures | .shoppers - .have_left' "$summary")
    [ "$(ask order 'SELECT count(*) FROM upgrade.orders')" = "$stayed" ] || fail "orders"
    [ "$(ask payment 'SELECT count(DISTINCT cart) FROM upgrade.payments')" = "$stayed" ] || fail "payments"
    [ "$(ask order 'SELECT count(*) FROM upgrade.wishes')" = 120 ] || fail "wishes"
    # Every second shopper's order was in the queue, and each found all those before it, in either database.
    [ "$(ask order 'SELECT count(DISTINCT place), max(place) FROM upgrade.orders')" = '60|59' ] || fail "places of orders"
    [ "$(ask payment 'SELECT count(DISTINCT place), max(place) FROM upgrade.payments')" = '60|59' ] || fail "places of payments"
    expect 64 "$assent" demo run upgrade --dir "$demo" --shoppers 15
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
    # Options of a scenario's own: named by its help, bounded, and unknown to others.
    expect 0 "$assent" demo run saga --help
    grep -q -- '--products=N' "$work/out" || fail "help of a scenario's own option"
    expect 64 "$assent" demo run saga --rounds 0
    grep -q -- '--rounds takes 1 to 100, not "0"' "$work/out" || fail "an option out of its bounds"
    expect 64 "$assent" demo run expired-card --rate 2
    expect 0 "$assent" demo run --list
    [ "$(wc -l <"$work/out")" -eq 6 ] || fail "list"
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

# killing FAULTS NAME OPTIONS...: `assent-fault demo` kills and stops daemons all the time and repairs the demo each time, while the scenario
# runs. It must end with verdict yes. $faults is how often something was killed or stopped.
killing() {
    local most=$1 name=$2 code=0
    shift 2
    expect 0 "$assent" demo up --dir "$demo" --port "$port"
    "$ASSENT_BIN_DIR/assent-fault" demo --dir "$demo" --json --pause 300 --faults "$most" -- \
        "$assent" demo run "$name" --dir "$demo" --json "$@" >"$summary" 2>"$work/err" || code=$?
    if [ "$code" -ne 0 ]; then
        cat "$work/err" >&2
        jq . "$summary" >&2 || true
        fail "exit code $code"
    fi
    faults=$(grep '^{"faults":' "$work/err" | jq .faults)
    [ "$faults" -ge 2 ] || fail "only $faults faults"
    is '.verdict' yes
}

# What `assent-fault demo` refuses, and what it ends with.
case_torment() {
    local torment=("$ASSENT_BIN_DIR/assent-fault" demo --dir "$demo")
    expect 64 "${torment[@]}"
    expect 64 "${torment[@]}" --victims nobody -- true
    expect 64 "${torment[@]}" --victims '' -- true
    expect 64 "${torment[@]}" --pause -1 -- true
    expect 69 "${torment[@]}" -- touch "$work/was-run"
    grep -q 'hint: `assent demo up` makes one' "$work/out" || fail "no demo, no hint"
    [ ! -e "$work/was-run" ] || fail "the command was run without a demo"
    expect 0 "$assent" demo up --dir "$demo" --port "$port"
    expect 1 "${torment[@]}" --pause 600000 -- true
    grep -q 'nothing was shown' "$work/out" || fail "no fault, no word"
    # Without a command: as long as it is told, or as many.
    expect 0 "${torment[@]}" --pause 0 --faults 2 --time 60s
    grep -q ': 2 faults: assentd ' "$work/out" || fail "faults without a command"
    expect 0 "$assent" demo status --dir "$demo"
    # It passes on what the command prints and ends with: here once assentd has been killed and repaired.
    # shellcheck disable=SC2016
    expect 7 "${torment[@]}" --pause 0 --victims assentd -- bash -c 'exec 3< <(exec tail -n 0 -f "$1"); tail=$!
        grep -m 1 -o event=started <&3; kill "$tail"; exit 7' - "$demo/log/assentd.log"
    grep -qx 'event=started' "$work/out" || fail "what the command printed"
    expect 0 "$assent" demo status --dir "$demo"
}

case_killed() {
    local faults
    killing 12 checkout-retry --shoppers 12 --kills 6
    is '.figures.carts' 84
    is '.figures.without_answer > 0' true
    [ "$(ask order 'SELECT count(*) FROM checkout_retry.orders')" = 84 ] || fail "orders"
    [ "$(ask payment 'SELECT count(*) FROM checkout_retry.payments')" = 84 ] || fail "payments"
    echo "$faults faults, $(jq -r '.figures.without_answer' "$summary") presses without an answer"
}

case_killed_delivery() {
    local faults
    killing 12 delivery --shoppers 1200
    is '.figures | .placed + .closed + .payment_refused' 1200
}

case_killed_expired_card() {
    local faults
    killing 8 expired-card --shoppers 60
    is '.refusal.reason' row_count
}

case_killed_reservation() {
    local faults
    killing 12 reservation --items 40 --shoppers 300
    is '[.ways[] | .sold] | join(" ")' '40 40 40'
}

# The demo's repairs bring the payment database back earlier than the scenario wants; the verdict is the same.
case_killed_upgrade() {
    local faults
    killing 8 upgrade --shoppers 400 --rate 80
    is '.figures.shoppers' 400
    is '.figures | .accepted_while_away > 0 and .told_503_while_away > 0' true
    [ "$(ask order 'SELECT count(DISTINCT place), max(place) FROM upgrade.orders')" = '200|199' ] || fail "places"
}

case_killed_saga() {
    local faults
    killing 12 saga --shoppers 200 --rounds 3
    is '[.designs[].checkouts] | add' 1600
    [ "$(ask order 'SELECT count(*) FROM saga.told')" = 1600 ] || fail "shoppers who were told"
}

"case_${1//-/_}"
echo "the checks of $1 passed"
