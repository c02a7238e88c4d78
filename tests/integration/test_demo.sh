#!/usr/bin/env bash
# test_demo.sh - `assent demo` from outside: idempotent, repairs, shows what runs, takes away what it made.
# shellcheck source=tests/integration/demo_lib.sh
source "$(dirname "$0")/demo_lib.sh"

port=$(free_port)

status() {
    "$assent" demo status --json --dir "$demo"
}

# pid ROLE [PARTICIPANT]
pid() {
    status | jq -r --arg role "$1" --arg participant "${2:-}" \
        '.processes[] | select(.role == $role and (.participant // "") == $participant) | .pid'
}

pids() {
    status | jq -c '[.processes[].pid]'
}

submit() {
    "$assent" --api "http://127.0.0.1:$port" submit - --key "$1" <<JSON
{"branches":[{"participant":"order","statements":[
  {"sql":"INSERT INTO orders (id, customer, amount) VALUES (\$1, 'c-7', \$2)","params":["$1", 1.50]}]},
 {"participant":"payment","statements":[
  {"sql":"UPDATE accounts SET balance = balance - \$1 WHERE id = 'c-7' AND balance >= \$1",
   "params":[1.50],"expect_rows":1}]}]}
JSON
}

query() {
    local conninfo
    conninfo=$(status | jq -r --arg participant "$1" \
        '.databases[] | select(.participant == $participant) | .conninfo')
    "${ASSENT_PG_BINDIR:-/usr/lib/postgresql/15/bin}/psql" -wXAtq -d "$conninfo" -c "$2"
}

# Nothing there: status says so, down has nothing to do.
expect 69 "$assent" demo status --dir "$demo"
expect 0 "$assent" demo down --dir "$demo" --json
[ "$(jq -c . "$work/out")" = '{"stopped":true,"purged":false}' ] || fail "down --json"
[ ! -e "$demo" ] || fail "down made a folder"

# up starts everything, and status has exactly the documented members.
expect 0 "$assent" demo up --dir "$demo" --port "$port"
[ "$(status | jq -c keys)" = '["api","databases","processes"]' ] || fail "members of status"
[ "$(status | jq -c '.processes[0] | keys')" = \
    '["address","config","log","participant","pid","role"]' ] || fail "members of a process"
[ "$(status | jq -c '[.processes[].role]')" = \
    '["assentd","agent","agent","postgres","postgres"]' ] || fail "roles"
[ "$(status | jq -c '.databases[0] | keys')" = '["conninfo","participant"]' ] ||
    fail "members of a database"
[ "$(status | jq -r .api)" = "http://127.0.0.1:$port" ] || fail "api"
for one in $(status | jq '.processes[].pid'); do
    [ -d "/proc/$one" ] || fail "pid $one does not run"
done
status | jq -r '.processes[] | .config, .log' | while read -r file; do
    [ -s "$file" ] || fail "$file is not there"
done

# Secrets are for nobody else.
[ -z "$(find "$demo/secrets" -type f ! -perm 0600)" ] || fail "modes of secrets"
[ "$(stat -c %a "$demo/secrets")" = 700 ] || fail "mode of the secrets' folder"
[ -z "$(find "$demo" -name '*.conf' -path "$demo/*" -exec grep -lF \
    "$(cut -d: -f5 <"$demo/secrets/order.pgpass" | head -n 1)" {} +)" ] || fail "a password in a file"

# The connection strings need no password, and a checkout runs through all of it.
[ "$(query order 'SELECT count(*) FROM orders')" = 0 ] || fail "orders"
expect 0 submit o-1

# A second up changes nothing.
before=$(pids)
expect 0 "$assent" demo up --dir "$demo"
[ "$(pids)" = "$before" ] || fail "up restarted something"

# Another demo cannot have the same API port, and says so.
demo_other=$work/other
expect 69 "$assent" demo up --dir "$demo_other" --port "$port"
grep -q "port $port is taken" "$work/out" || fail "text of a taken port"
"$assent" demo down --purge --dir "$demo_other" >/dev/null

# Nor is a running one moved to a port that is taken: it stays where it is.
taken=$(status | jq -r '.processes[] | select(.role == "agent" and .participant == "order") | .address')
expect 69 "$assent" demo up --dir "$demo" --port "${taken##*:}"
[ "$(pids)" = "$before" ] || fail "a port that is taken stopped something"
expect 0 submit o-1

# up repairs what was killed and leaves the rest alone.
agent=$(pid agent payment)
kill -9 "$(pid assentd)" "$(pid agent order)" "$(pid postgres order)"
expect 0 "$assent" demo up --dir "$demo"
expect 0 "$assent" demo status --dir "$demo"
[ "$(pid agent payment)" = "$agent" ] || fail "up restarted what ran"
expect 0 submit o-2
[ "$(query order 'SELECT count(*) FROM orders')" = 2 ] || fail "orders after the repair"

# What was stopped goes on.
kill -STOP "$(pid assentd)" "$agent"
expect 0 "$assent" demo up --dir "$demo"
[ "$(pid agent payment)" = "$agent" ] || fail "up restarted what was stopped"

# The coordinator dies between its decision and the first commit; up finishes the transaction.
expect 0 "$assent" demo up --dir "$demo" --fault-point c.decide.post_sync:kill
expect 2 submit o-3
expect 1 "$assent" demo status --dir "$demo"
[ "$(query payment 'SELECT count(*) FROM pg_prepared_xacts')" = 1 ] || fail "not prepared"
expect 0 "$assent" demo up --dir "$demo"
expect 0 submit o-3
[ "$(query payment 'SELECT count(*) FROM pg_prepared_xacts')" = 0 ] || fail "still prepared"
[ "$(query payment "SELECT balance FROM accounts WHERE id = 'c-7'")" = 9995.50 ] || fail "balance"

# A daemon that dies while up waits for participants is noticed: up would have waited for 30 s. The agent of payment cannot log in,
# so there is something to wait for; when it has been started anew, up has seen the agent of order run.
payment=$(status | jq -r '.databases[] | select(.participant == "payment") | .conninfo')
psql=${ASSENT_PG_BINDIR:-/usr/lib/postgresql/15/bin}/psql
"$psql" -wXAtq -d "$payment" -c 'ALTER ROLE assent_payment NOLOGIN'
agent=$(pid agent payment)
kill -9 "$agent"
"$assent" demo up --dir "$demo" >"$work/up.out" 2>&1 &
up=$!
# shellcheck disable=SC2016
timeout 30 bash -c 'while now=$("$1" demo status --json --dir "$2" | jq -r ".processes[] | select(.role == \"agent\"
        and .participant == \"payment\") | .pid"); [ "$now" = null ] || [ "$now" = "$3" ]; do sleep 0.05; done' \
    - "$assent" "$demo" "$agent" || fail "the agent of payment does not start"
kill -9 "$(pid agent order)"
SECONDS=0 code=0
wait "$up" || code=$?
cat "$work/up.out"
[ "$code" -eq 69 ] || fail "up ended with $code while an agent was dead"
grep -q 'agent order has ended again' "$work/up.out" || fail "no word about the agent that died"
[ "$SECONDS" -lt 20 ] || fail "up waited $SECONDS s for an agent that was dead"
"$psql" -wXAtq -d "$payment" -c 'ALTER ROLE assent_payment LOGIN' # status is 1 now, and query asks it
expect 0 "$assent" demo up --dir "$demo"

# One more participant joins a running demo.
expect 0 "$assent" demo up --dir "$demo" --participants order,payment,inventory
[ "$(status | jq -c '[.databases[].participant]')" = '["order","payment","inventory"]' ] ||
    fail "participants"

# A pid file that names somebody else's process is not believed.
sleep 300 &
stranger=$!
"$assent" demo down --dir "$demo" >/dev/null
printf '%s 1 %s\n' "$stranger" "$(cat /proc/sys/kernel/random/boot_id)" >"$demo/run/assentd.pid"
expect 0 "$assent" demo down --dir "$demo"
kill -0 "$stranger" || fail "down killed a stranger"
kill "$stranger"

# down stopped everything and kept the data.
expect 1 "$assent" demo status --dir "$demo"
[ "$(status | jq -c '[.processes[].pid] | unique')" = '[null]' ] || fail "something still runs"
expect 0 "$assent" demo up --dir "$demo"
[ "$(query order 'SELECT count(*) FROM orders')" = 3 ] || fail "data after down and up"

# The API moves to another port on request.
port=$(free_port)
expect 0 "$assent" demo up --dir "$demo" --port "$port"
expect 0 submit o-4

# purge takes everything away.
sockets=$(sed -n 's/^sockets = //p' "$demo/demo.ini")
expect 0 "$assent" demo down --purge --dir "$demo"
[ ! -e "$demo" ] || fail "purge left the folder"
[ ! -e "$sockets" ] || fail "purge left the sockets"

# Foreign folders are not touched.
mkdir "$work/foreign"
touch "$work/foreign/file"
if [ "$(id -u)" -eq 0 ]; then
    expect 77 "$assent" demo up --dir "$work/foreign"
    # Where the user postgres cannot go: an error if it was asked for, else another folder, and it says so.
    mkdir -m 700 "$work/closed"
    expect 77 "$assent" demo up --dir "$work/closed/demo"
    (cd "$work/closed" && "$assent" demo status >"$work/out" 2>&1) || true
    grep -q 'using /var/tmp/assent-demo' "$work/out" || fail "no word about the other folder"
fi

echo "all demo checks passed"
