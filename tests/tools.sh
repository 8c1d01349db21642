#!/usr/bin/env bash
# Makes sure that what the build, the tests or the demo need is there:
#   tests/tools.sh TOOL…    of: cargo cc fmt clippy binutils cargo-deb curl docker engine systemd nginx wrk
# What is missing is installed through apt when root on a Debian system; elsewhere it is named, all of it at once.
set -euo pipefail

socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
socket=${socket#unix://}
missing=()

# need NAME DEBIAN-PACKAGES HINT CHECK…
need() {
    local name=$1 packages=$2 hint=$3
    shift 3
    "$@" >/dev/null 2>&1 && return
    if [[ -n $packages && $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
        echo "$name is missing: installing $packages" >&2
        # In runlevel 1 no package starts a server.
        # shellcheck disable=SC2086 # several packages
        if apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qq -y $packages >&2 &&
            "$@" >/dev/null 2>&1; then
            return
        fi
    fi
    missing+=("$name: $hint")
}

# The package with Docker's command line: of its own since Debian 13, in docker.io before. Known once apt has its lists.
docker_package() {
    if command -v apt-cache >/dev/null && [[ -n $(apt-cache search --names-only '^docker-cli$') ]]; then
        echo docker-cli
    else
        echo docker.io
    fi
}

# wish TOOL: installed where possible, done without elsewhere. The package has the tool's name.
wish() {
    command -v "$1" >/dev/null && return
    if [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
        echo "$1 is missing: installing it" >&2
        if apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "$1" >&2; then
            return
        fi
    fi
    echo "$1 is missing: what needs it is left out" >&2
}

# A static program needs the static C library in addition to the linker.
links_statically() {
    local out
    out=$(mktemp)
    echo 'int main(void) { return 0; }' | cc -static -x c -o "$out" -
    rm -f "$out"
}

for tool in "$@"; do
    case $tool in
    cargo) need "Rust" "" "install it from https://rustup.rs" cargo --version ;;
    fmt) need "rustfmt" "" "rustup component add rustfmt" cargo fmt --version ;;
    clippy) need "clippy" "" "rustup component add clippy" cargo clippy --version ;;
    cc) need "a C linker with a static libc" "gcc libc6-dev" "install gcc and the static C library (glibc-static)" links_statically ;;
    binutils) need "objcopy" "binutils" "install binutils" command -v objcopy ;;
    cargo-deb) command -v cargo-deb >/dev/null || cargo install cargo-deb --locked || missing+=("cargo-deb: cargo install cargo-deb") ;;
    curl) need "curl" "curl" "install curl" command -v curl ;;
    systemd) need "systemd" "systemd procps util-linux" "install systemd" test -x /lib/systemd/systemd ;;
    # Compared with, and the load; where they cannot be installed that one figure is left out.
    nginx) wish nginx ;;
    wrk) wish wrk ;;
    docker) need "the docker command" "$(docker_package)" "install Docker's command line (docker-cli, docker.io or docker-ce-cli)" command -v docker ;;
    engine) need "a reachable Docker Engine" "" \
        "nothing answers on $socket; is the Engine installed and started, and may this user open the socket?" \
        curl --silent --fail --max-time 10 --unix-socket "$socket" http://docker/_ping ;;
    *)
        echo "tests/tools.sh: unknown tool $tool" >&2
        exit 2
        ;;
    esac
done

if ((${#missing[@]})); then
    echo "This is missing:" >&2
    printf '  %s\n' "${missing[@]}" >&2
    exit 1
fi
