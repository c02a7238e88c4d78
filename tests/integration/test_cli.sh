#!/usr/bin/env bash
# test_cli.sh - the `assent` command against a running demo: answers, exit codes, JSON, journal tools.
# shellcheck source=tests/integration/demo_lib.sh
source "$(dirname "$0")/demo_lib.sh"

port=$(free_port)
export ASSENT_API="http://127.0.0.1:$port"
request=$work/request.json

says() {
    grep -q -- "$1" "$work/out" || {
        cat "$work/out" >&2
        fail "no \"$1\" in the output"
    }
}

# write ID AMOUNT
write() {
    cat >"$request" <<JSON
{"branches":[{"participant":"order","statements":[
  {"sql":"INSERT INTO orders (id, customer, amount) VALUES (\$1, 'c-1', \$2) RETURNING amount","params":["$1", $2]}]}]}
JSON
}

# Help names what there is and nothing else; wrong usage is 64.
expect 0 "$assent" --help
if grep -qE 'explain|doctor|bench' "$work/out"; then
    fail "--help promises what does not exist"
fi
[ -z "$(sed -n '/^Commands:$/,/^$/{/^Commands:$/d;/^ /d;/^$/d;p}' "$work/out")" ] || fail "a line of --help is broken"
for command in submit status list history participants watch queues requeue drop resolve journal demo; do
    expect 0 "$assent" "$command" --help
done
expect 0 "$assent" --version
says "$(cat "$ASSENT_SOURCE_DIR/VERSION")"
expect 64 "$assent"
expect 64 "$assent" nonsense
expect 64 "$assent" submit
expect 64 "$assent" status
expect 64 "$assent" resolve x commit
expect 64 "$assent" requeue
expect 64 "$assent" drop x y
expect 64 "$assent" queues x
expect 64 "$assent" journal verify
expect 64 "$assent" list --in-doubt --state committed
expect 64 "$assent" watch --count 0
expect 64 "$assent" watch --after 'no id'
expect 64 "$assent" watch --api ftp://127.0.0.1
says 'http://127.0.0.1:7400'
expect 64 "$assent" list --api ftp://127.0.0.1
says 'http://127.0.0.1:7400'
expect 64 "$assent" submit "$work"

# The set-up of a database: SQL for people, an object for programs, and no password on a command line.
agent=$(dirname "$assent")/assent-agent
setup=("$agent" setup --participant order --database orders --role assent_order --token-file "$work/order.token")
expect 0 "${setup[@]}"
says 'BEGIN;'
"${setup[@]}" --json >"$work/setup.json" || fail "setup --json"
[ "$(jq -r '[.participant, .database, .role, .applied] | join(" ")' "$work/setup.json")" = \
    'order orders assent_order false' ] || fail "members of setup --json"
jq -e '(.sql | contains("assent_order")) and (.notes | contains("max_prepared_transactions"))' \
    "$work/setup.json" >/dev/null || fail "SQL and notes of setup --json"
grep -q "$(cat "$work/order.token")" "$work/setup.json" && fail "the token is in setup --json"
expect 78 "${setup[@]}" --apply --admin 'host=/nowhere password=geheim'
says 'password'
grep -q geheim "$work/out" && fail "the password was repeated"

# Nobody there: 69, and no claim about an outcome.
write o-1 1.00
expect 69 "$assent" submit "$request"
expect 69 "$assent" list
expect 69 "$assent" watch

expect 0 "$assent" demo up --dir "$demo" --port "$port"

# Numbers keep every digit, in tables and in JSON.
write o-1 12345678901234567890.10
expect 0 "$assent" submit --key key-1 "$request"
says '^committed  '
says '^    amount'
says '^    12345678901234567890.10'
expect 0 "$assent" submit --key key-1 --json - <"$request"
[ "$(jq -r '.branches[0].results[0].rows[0][0]' "$work/out")" = 12345678901234567890.10 ] ||
    fail "digits in JSON"
id=$(jq -r .id "$work/out")

# What is wrong is said before anything is sent, with its place.
printf '{"branches": [\n  {"participant": }\n]}' >"$work/bad.json"
expect 64 "$assent" submit "$work/bad.json"
says 'line 2'
expect 64 "$assent" submit "$work/missing.json"
printf '[1]' >"$work/bad.json"
expect 64 "$assent" submit "$work/bad.json"

# What the server refuses: an abort is 1, a request that can never work is 64.
expect 1 "$assent" submit --key key-2 "$request"
says 'orders_pkey'
expect 1 "$assent" submit --json "$request"
[ "$(jq -r .sqlstate "$work/out")" = 23505 ] || fail "sqlstate in JSON"
write o-2 1.00
expect 64 "$assent" submit --key key-1 "$request"
sed 's/"order"/"nobody"/' "$request" >"$work/other.json"
expect 64 "$assent" submit "$work/other.json"
expect 64 "$assent" submit --timeout 99999999 "$request"

# Looking: by id, by key, lists with pages, history.
expect 0 "$assent" status "$id"
says 'committed, completed'
expect 0 "$assent" status --key key-1 --json
[ "$(jq -r .id "$work/out")" = "$id" ] || fail "id by key"
expect 1 "$assent" status --key never-used
expect 1 "$assent" status nonsense
expect 0 "$assent" submit --key key-3 --ack completed --timeout 4000 "$request"
expect 0 "$assent" list --state committed --limit 1
says '^more: --after '
after=$(sed -n 's/^more: --after //p' "$work/out")
expect 0 "$assent" list --state committed --after "$after"
says "$id"
expect 0 "$assent" list --in-doubt --json
[ "$(jq -c '.transactions' "$work/out")" = '[]' ] || fail "something is in doubt"
expect 0 "$assent" history "$id"
says 'decided-commit'
expect 0 "$assent" participants
says '^payment '
if grep -q $'\033' "$work/out"; then
    fail "colours in a file"
fi
expect 1 "$assent" resolve "$id" forget --participant order --comment 'nothing to forget'

# Accepted, to run later; its row is there already, so it cannot succeed: dead, requeued in vain, dropped.
await_dead() {
    timeout 30 bash -c 'until "$0" status "$1" | grep -q "^state  *dead"; do sleep 0.1; done' "$assent" "$1" || fail "$1 is not dead"
}
expect 0 "$assent" submit --async --json "$request"
[ "$(jq -r .state "$work/out")" = queued ] || fail "not accepted"
expect 0 "$assent" submit --queue shop --json "$request"
dead=$(jq -r .id "$work/out")
await_dead "$dead"
expect 1 "$assent" status "$dead"
says '^queue  *shop'
expect 0 "$assent" list --state dead
says "$dead"
expect 0 "$assent" queues
says '^shop  *0  *1'
expect 0 "$assent" queues --json
[ "$(jq '.queues[0].dead' "$work/out")" = 1 ] || fail "no dead request in the queue"
expect 1 "$assent" requeue "$id"
expect 0 "$assent" requeue "$dead"
await_dead "$dead"
expect 0 "$assent" drop "$dead" --comment 'ordered twice'
says 'ordered twice'
expect 0 "$assent" requeue --help
expect 1 "$assent" drop "$dead"

# A participant that is down: 69, and nothing was done.
agent=$("$assent" demo status --json --dir "$demo" |
    jq '.processes[] | select(.role == "agent" and .participant == "order") | .pid')
kill -9 "$agent"
write o-4 1.00
expect 69 "$assent" submit "$request"
expect 0 "$assent" demo up --dir "$demo"
expect 0 "$assent" submit "$request"

# Somebody rolls a prepared branch back by hand: no commit is claimed, the branch is named, a person acknowledges it.
conninfo=$("$assent" demo status --json --dir "$demo" |
    jq -r '.databases[] | select(.participant == "order") | .conninfo')
query() {
    "${ASSENT_PG_BINDIR:-/usr/lib/postgresql/15/bin}/psql" -wXAtq -d "$conninfo" -c "$1"
}
expect 0 "$assent" demo up --dir "$demo" --fault-point c.decide.post_sync:kill
write o-5 1.00
expect 2 "$assent" submit --key key-5 "$request"
query "ROLLBACK PREPARED '$(query 'SELECT gid FROM pg_prepared_xacts')'"
expect 0 "$assent" demo up --dir "$demo"
expect 1 "$assent" submit --key key-5 "$request"
says '^heuristic  '
says '^  order  heuristic-rollback$'
says 'assent resolve .* forget'
if grep -q 'still being finished' "$work/out"; then
    fail "a heuristic outcome is told as one to come"
fi
expect 0 "$assent" list --state heuristic --json
heuristic=$(jq -r '.transactions[0].id' "$work/out")
expect 1 "$assent" status "$heuristic"
says 'heuristic-rollback'
expect 0 "$assent" resolve "$heuristic" forget --participant order --comment 'seen'
says 'forgotten'

# The journal: sound, printable, copied while in use; the copy is marked until it is adopted.
journal=$demo/journal/journal.db
expect 0 "$assent" journal verify "$journal"
says 'sound'
expect 0 "$assent" journal dump "$journal"
[ "$(jq -r 'select(.kind == "commit" and .key == "key-1") | .id' "$work/out")" = "$id" ] ||
    fail "the dump lacks a decision"
expect 0 "$assent" journal backup --json "$journal" "$work/copy.db"
[ "$(jq -r '.action + " " + .copy' "$work/out")" = "backup $work/copy.db" ] || fail "backup --json"
expect 0 "$assent" journal verify --json "$work/copy.db"
[ "$(jq -r .copy "$work/out")" = true ] || fail "the copy is not marked"
expect 69 "$assent" journal release "$journal" payment --comment 'it is gone'
expect 64 "$assent" journal adopt "$work/copy.db"
expect 64 "$assent" journal adopt "$work/copy.db" --comment ''
expect 0 "$assent" journal adopt "$work/copy.db" --comment 'a drill' --json
[ "$(jq -r .action "$work/out")" = adopt ] || fail "JSON of adopt"
expect 0 "$assent" journal verify --json "$work/copy.db"
[ "$(jq -r .copy "$work/out")" = false ] || fail "the adopted copy is still marked"
expect 0 "$assent" journal release --json "$work/copy.db" payment --comment 'it is gone'
[ "$(jq -r '.action + " " + .participant' "$work/out")" = 'release payment' ] || fail "release --json"
expect 0 "$assent" journal verify --json "$work/copy.db"
[ "$(jq -c .participants "$work/out")" = '["order"]' ] || fail "payment was not released"
expect 64 "$assent" journal release "$work/copy.db" order --comment ''
expect 1 "$assent" journal release "$work/copy.db" payment --comment 'again'

# What one may not read is no damage and no wrong usage.
chmod 000 "$work/copy.db" "$request"
cp "$assent" "$work/assent"
other_user=()
if [ "$(id -u)" -eq 0 ]; then
    other_user=(runuser -u nobody --)
fi
for what in "journal verify $work/copy.db" "journal dump $work/copy.db" \
    "journal backup $work/copy.db /tmp/never" "submit $request"; do
    read -ra words <<<"$what"
    expect 77 "${other_user[@]}" "$work/assent" "${words[@]}"
    says 'Permission denied'
done

echo "all command line checks passed"
