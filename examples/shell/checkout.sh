#!/usr/bin/env bash
# checkout.sh - an order and its payment, in two databases, once or not at all.
#
#     checkout.sh ORDER CUSTOMER AMOUNT
#
# Prints one line and exits with 0 paid, 1 declined, 2 not known, 64 the request is wrong, 69 not available.
# ASSENT_API is the coordinator (http://127.0.0.1:7400), ASSENT_DEADLINE for how many seconds to try (30).
# Needs curl and jq.
set -euo pipefail

api=${ASSENT_API:-http://127.0.0.1:7400}
deadline_ms=$((${ASSENT_DEADLINE:-30} * 1000))
timeout_ms=5000                       # for the decision; finishing the branches may take as long again
attempt_ms=$((2 * timeout_ms + 4000)) # how long an answer is waited for
attempt_min_ms=1000                   # less would tell nothing about a busy machine
pause_min_ms=100 pause_max_ms=2000

paid=0 declined=1 unknown=2 wrong=64 unavailable=69

# A clock that nobody sets.
now_ms() {
    local uptime
    read -r uptime _ </proc/uptime
    echo $((10#${uptime/./} * 10))
}

# seconds MS: as curl and sleep want them.
seconds() {
    printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000))
}

# call WAIT_MS CURL_ARGUMENTS...: one request. Sets $fate to answered, not-sent (nothing can have happened) or
# lost (not known); $status, $retry_after_s and $answer if answered; $why for people.
call() {
    local wait_ms=$(($1 < attempt_min_ms ? attempt_min_ms : $1)) code=0 reply type
    shift
    reply=$(curl -sS --noproxy '*' --max-time "$(seconds "$wait_ms")" \
        -w '\n%{http_code}|%header{retry-after}|%{content_type}' "$@" 2>&1) || code=$?
    case $code in
    0) ;;
    7) fate=not-sent why="nobody listens at $api" && return ;;
    *) fate=lost why="no answer: ${reply##*curl: }" && return ;;
    esac
    IFS='|' read -r status retry_after_s type <<<"${reply##*$'\n'}"
    answer=${reply%$'\n'*}
    case $type in
    application/json* | application/problem+json*) fate=answered why=$(get .detail) ;;
    *) fate=lost why="status $status, but not from Assent" ;; # a proxy's page proves nothing
    esac
}

# get FILTER: of the answer. jq 1.6 rounds numbers; results are strings.
get() {
    jq -r "$1 // empty" <<<"$answer"
}

# end CODE WORDS: the result of it all.
end() {
    echo "order $order: $2"
    exit "$1"
}

# What a final answer means. Returns if the same request is to be sent again.
judge() {
    if [ "$(get .state)" = heuristic ]; then
        end $unknown "done by hand in part, an operator must look at $(get .id)"
    elif [ "$status" = 200 ] && [ "$(get .completed)" = true ]; then
        end $paid "paid, $(get '.branches[1].results[0].rows[0][0]') left"
    elif [ "$status" = 200 ]; then # decided for good; Assent finishes it as soon as it can
        end $paid "paid, $(get '.branches[1].results[0].rows[0][0]') left$(
        ) (still being finished at $(get '.pending | join(", ")'))"
    elif [ "$(get .retryable)" = true ]; then # 409 serialization ..., 429, 503, 504, 500
        return
    elif [ "$status $(get .reason) $(get .participant)" = '409 row_count payment' ]; then
        end $declined 'declined: not enough money'
    elif [ "$status" = 409 ]; then
        end $declined "declined: $why"
    fi
    end $wrong "refused: $why" # 400, 403, 422 ...: a mistake of this program
}

# Has anything committed under the key? Returns if nothing tells so.
ask() {
    call $attempt_min_ms -G "$api/v1/transactions" -d limit=1 --data-urlencode "key=$key"
    if [ $fate = answered ] && [ "$status" = 200 ] &&
        [[ $(get '.transactions[0].state') =~ ^(committing|committed)$ ]]; then
        end $paid 'paid, as its key tells'
    fi
}

if [ $# -ne 3 ]; then
    echo 'usage: checkout.sh ORDER CUSTOMER AMOUNT' >&2
    exit $wrong
fi
order=$1 customer=$2 amount=$3 key=checkout-$1

# The amount stays text: as a number, 12.50 would become 12.5.
body=$(jq -nc --arg order "$order" --arg customer "$customer" --arg amount "$amount" \
    --argjson timeout_ms $timeout_ms '{$timeout_ms, branches: [
  {participant: "order", statements: [
    {sql: "INSERT INTO orders (id, customer, amount) VALUES ($1, $2, $3)",
     params: [$order, $customer, $amount]}]},
  {participant: "payment", statements: [
    {sql: "UPDATE accounts SET balance = balance - $2 WHERE id = $1 AND balance >= $2 RETURNING balance",
     params: [$customer, $amount], expect_rows: 1},
    {sql: "INSERT INTO payments (id, account, amount) VALUES ($1, $2, $3)",
     params: [$order, $customer, $amount]}]}]}')

# Sends the same request with the same key until it has a final answer or the time is up.
end_ms=$(($(now_ms) + deadline_ms))
may_have_happened=no
for ((attempt = 0; ; attempt++)); do
    left_ms=$((end_ms - $(now_ms)))
    retry_after_s=0
    call $((left_ms < attempt_ms ? left_ms : attempt_ms)) "$api/v1/transactions" -d "$body" \
        -H 'Content-Type: application/json' -H "Idempotency-Key: \"$key\""
    limit_ms=$((attempt < 5 ? pause_min_ms << attempt : pause_max_ms))
    pause_ms=$((RANDOM % limit_ms + ${retry_after_s:-0} * 1000)) reason=$why
    if [ $fate = lost ]; then
        may_have_happened=yes
    elif [ $fate = answered ]; then
        judge
        if [ "$(get .state)" = unknown ]; then
            may_have_happened=yes
            ask
        fi
    fi
    if [ $(($(now_ms) + pause_ms)) -ge $end_ms ]; then
        break
    fi
    echo "again in $(seconds $pause_ms) s: $reason" >&2
    sleep "$(seconds $pause_ms)"
done
if [ $may_have_happened = yes ]; then
    ask
    end $unknown 'not known yet: ask again with the same key'
fi
end $unavailable 'not available, nothing was done'
