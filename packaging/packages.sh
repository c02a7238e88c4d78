# packages.sh - which Debian 12 packages Assent needs, and installing those that are missing.
#
# A library for bash, sourced by ./quickstart and ./check (set -euo pipefail there). Says what it does on
# standard error. Never creates or touches the packaged "main" PostgreSQL cluster.
# shellcheck shell=bash disable=SC2034

# To build and to run.
packages_to_build=(
    build-essential cmake ninja-build pkg-config
    libpq-dev libnng-dev libmsgpack-dev libsqlite3-dev libmicrohttpd-dev libjansson-dev libyajl-dev
    libcurl4-openssl-dev libsodium-dev libinih-dev libsystemd-dev
    postgresql-15
)

# For ./check besides.
packages_to_test=(
    libcmocka-dev clang-14 clang-format-14 clang-tidy-14 libclang-14-dev libclang-rt-14-dev llvm-14 shellcheck jq curl spin python3
    python3-jsonschema python3-psycopg2 nodejs
)

packages_say() {
    printf '%s\n' "$*" >&2
}

packages_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Runs a command as root, through sudo where needed and possible.
packages_as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        packages_say "This needs root, and there is no sudo: $*"
        return 77
    fi
}

# packages_install NAME... - installs what is missing, and nothing if nothing is.
packages_install() {
    local name missing=()
    for name in "$@"; do
        if ! packages_installed "$name"; then
            missing+=("$name")
        fi
    done
    if [ "${#missing[@]}" -eq 0 ]; then
        return 0
    fi
    if ! command -v apt-get >/dev/null; then
        packages_say "Please install the equivalents of these Debian 12 packages: ${missing[*]}"
        return 69
    fi
    packages_say "Installing: ${missing[*]}"
    packages_as_root apt-get update -qq || return
    # Debian's postgresql-15 makes and starts a cluster "main" at installation. Nobody asked for one, so it is
    # told not to for as long as this installation takes; clusters that exist are not affected.
    local folder=/etc/postgresql-common/createcluster.d
    local no_main=$folder/assent-installing.conf status=0
    if ! packages_installed postgresql-15; then
        packages_as_root mkdir -p "$folder" || return
        printf 'create_main_cluster = false\n' | packages_as_root tee "$no_main" >/dev/null || return
    fi
    packages_as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2 || status=$?
    packages_as_root rm -f "$no_main"
    return "$status"
}
