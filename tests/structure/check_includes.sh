#!/usr/bin/env bash
# Checks the #include lines against the rules of docs/ARCHITECTURE.md: who may know which library, and that
# dependencies between the folders point one way. Usage: check_includes.sh [SOURCE_DIR]
set -euo pipefail

source_dir="${1:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}"
cd "$source_dir"

folders=()
for folder in include common recovery coordinator participant client examples tests; do
    if [ -d "$folder" ]; then
        folders+=("$folder")
    fi
done

# All lines as "file<TAB>header".
includes="$(find "${folders[@]}" \( -name '*.c' -o -name '*.h' \) -print0 | sort -z |
    xargs -0 awk 'match($0, /^[ \t]*#[ \t]*include[ \t]*[<"][^>"]+[>"]/) {
        line = substr($0, RSTART, RLENGTH)
        sub(/^[^<"]*[<"]/, "", line)
        sub(/[>"]$/, "", line)
        print FILENAME "\t" line
    }')"
if [ -z "$includes" ]; then
    echo "found no #include at all under $source_dir" >&2
    exit 1
fi

status=0

complain() {
    echo "$1 includes $2: $3" >&2
    status=1
}

# only HEADERS FILES WHY: both extended regular expressions; headers that match may be included by files that
# match, and by nobody else.
only() {
    local headers="$1" files="$2" why="$3" file header
    while IFS=$'\t' read -r file header; do
        if [[ "$header" =~ ^($headers)$ && ! "$file" =~ ^($files)$ ]]; then
            complain "$file" "$header" "$why"
        fi
    done <<<"$includes"
}

# never FILES HEADERS WHY: files that match must not include headers that match.
never() {
    local files="$1" headers="$2" why="$3" file header
    while IFS=$'\t' read -r file header; do
        if [[ "$file" =~ ^($files)$ && "$header" =~ ^($headers)$ ]]; then
            complain "$file" "$header" "$why"
        fi
    done <<<"$includes"
}

# Libraries and the few files that know them.
only 'nng/.*' 'common/(link|nng_).*\.[ch]|coordinator/client_edge.*\.[ch]|client/.*|tests/.*' \
    'nng belongs to the links and the client edge'
only 'msgpack(\.h|/.*)' \
    'common/(codec|work).*\.[ch]|recovery/record_codec\.c|(coordinator|client)/.*(codec|msgpack).*\.[ch]|tests/.*' \
    'msgpack belongs to the codecs'
only 'libpq-fe\.h|libpq/.*' 'participant/(pg_.*|setup)\.[ch]|client/cli/demo_postgres\.c|(examples|tests)/.*' \
    'libpq belongs to the PostgreSQL edge (to the demo, which makes databases, and to scenarios, which read them)'
only 'sqlite3\.h' 'recovery/.*sqlite.*\.[ch]|tests/.*' 'SQLite belongs to the journal backend'
only 'microhttpd\.h' 'coordinator/http.*\.[ch]|tests/.*' 'libmicrohttpd belongs to the HTTP edge'
only 'curl/.*' '(client|examples|tests)/.*' 'libcurl belongs to the command line, the scenarios and the tests'
only 'ini\.h' 'common/config_file_read\.c|tests/.*' 'inih belongs to the configuration reader'
only 'jansson\.h' 'participant/setup\.c|(examples|tests)/.*' 'jansson belongs to what is printed for programs'
only 'cmocka\.h' 'tests/.*' 'cmocka belongs to the tests'

# The cores: values, containers and their own headers only.
core='coordinator/(core|txn).*|participant/branch.*|recovery/record\.[ch]'
core+='|common/(alloc|blob|check|heap|map|messages|outcome|xid)\.[ch]'
never "$core" 'common/(cli|clock|codec|config_file|fault|inbox|link|log|nng_|work).*' \
    'a core must not know edges, clocks, logs or encodings'
never "$core" 'coordinator/(client|config|driver|http|journal_thread|main|metrics).*' \
    'a core must not know what drives it'
never "$core" 'participant/(config|driver|main|pg|worker).*' 'a core must not know what drives it'
# journal.h is for its values (state, entries); that no core calls it is what the purity tests prove.
never "$core" 'recovery/.*sqlite.*|recovery/record_codec\.h' \
    'a core must not know how records are kept'
never "$core" '(sys/[a-pr-z]|arpa/|net/|netinet/).*|pthread\.h|time\.h|fcntl\.h|errno\.h|signal\.h|poll\.h' \
    'a core makes no system calls'

# One way: common <- recovery <- coordinator, common <- participant; the client beside them.
never 'common/.*' '(recovery|coordinator|participant|client|tests)/.*' 'common/ is below all other folders'
never 'recovery/.*' '(coordinator|participant|client|tests)/.*' 'recovery/ knows only common/'
never 'coordinator/.*' '(participant|client|tests)/.*' 'the coordinator knows no agent and no client code'
never 'participant/.*' '(coordinator|client|tests)/.*' 'the agent knows no coordinator and no client code'
never 'client/.*' '(participant|tests)/.*' 'a client knows no agent code'
never 'examples/.*' '(common|recovery|coordinator|participant|client|tests)/.*' 'an example is made of what users have'
# The judge shares no code with the judged, nor with test code that does; the dispatcher knows names only.
never 'tests/(checker|fault)/.*' '(common|recovery|coordinator|participant|client|assent)/.*' \
    'the checker shares no code with what it judges'
never 'tests/(checker|fault)/.*' 'tests/(lib/[^t]|unit|spec|sim|model|crash|fuzz|integration|nemesis).*' \
    'the checker shares no code with what it judges'
never 'include/.*' '(common|recovery|coordinator|participant|client|tests)/.*' \
    'an installed header must stand on its own'

if [ "$status" -eq 0 ]; then
    echo "$(wc -l <<<"$includes") includes follow the rules"
fi
exit "$status"
