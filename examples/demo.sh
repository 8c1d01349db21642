#!/usr/bin/env bash
# The main job on this machine's Docker Engine, from an empty directory: declare a service, reach it, scale it, roll it
# under load, remove it. Every command is printed before it runs, as it can be typed. Everything it makes it removes,
# and what others have it leaves alone: it works in a folder, on a port and with image tags of its own. Fails if a
# single request failed.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly HOST=hello.localhost
readonly CLIENTS=4          # loops of requests, each on a new connection every time
readonly START_TRIES=300    # of 100 ms: the daemon answers within 30 s

work=$(mktemp -d "${TMPDIR:-/tmp}/coxswain-demo.XXXXXX")
tag=${work##*.} # as unique as the folder
started=$SECONDS
load=()
images=()
daemon=

if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
    bold=$'\033[1m' plain=$'\033[0m'
else
    bold='' plain=''
fi

say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
show() { printf '%s$ %s%s\n' "$bold" "$*" "$plain"; }

# Prints a command, then runs it.
run() {
    show "$*"
    "$@"
}

get() { curl --silent --show-error --fail --header "Host: $HOST" "$url"; }

fail() {
    echo "demo: $*" >&2
    if [[ -s $work/serve.log ]]; then
        echo "demo: the daemon's last lines:" >&2
        tail -n 20 "$work/serve.log" >&2
    fi
    exit 1
}

stop_load() {
    if ((${#load[@]})); then
        kill "${load[@]}" 2>/dev/null || true
        wait "${load[@]}" 2>/dev/null || true
        load=()
    fi
}

clean_up() {
    local status=$?
    trap - EXIT INT TERM
    stop_load
    if [[ -n $daemon ]] && kill -0 "$daemon" 2>/dev/null; then
        ctl delete hello -y >/dev/null 2>&1 || true # already gone, unless the demo failed half way
        kill -TERM "$daemon"
        wait "$daemon" || status=1
    fi
    # The daemon protects the images of its revisions by tags that end with the first digits of its store's id; it takes
    # them away in its own time, and this one has none left.
    if [[ -s $work/state/store-id ]]; then
        local own
        own=$(cut -c 1-8 "$work/state/store-id")
        mapfile -t -O "${#images[@]}" images < <(docker image ls --format '{{.Repository}}:{{.Tag}}' | grep "^coxswain/.*-$own\$")
    fi
    for image in "${images[@]}"; do
        docker image rm "$image" >/dev/null || status=1
    done
    rm -rf "$work"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# The first port from 8080 on without a listener.
free_port() {
    local port
    for port in {8080..8179}; do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || {
            echo "$port"
            return
        }
    done
    return 1
}

# One line for each request: the body, then the status; 000 and a reason if there was no answer.
client() {
    while :; do
        curl --silent --show-error --max-time 15 --header "Host: $HOST" --write-out ' %{http_code}' "$url" 2>&1 |
            tr -d '\n' || true # a failure is an answer to count
        echo
    done
}

start_load() {
    for ((i = 0; i < CLIENTS; i++)); do
        client >"$work/load.$i" &
        load+=("$!")
    done
}

report_load() {
    local answers=$work/answers total failed version
    # Without the last line of each: a client is ended in the middle of a request.
    for file in "$work"/load.*; do sed '$d' "$file"; done >"$answers"
    total=$(wc -l <"$answers")
    failed=$(grep -vc ' 200$' "$answers" || true)
    ((total)) || fail "no request was made"
    printf '\n%s%s requests while it was scaled and rolled: %s failed%s\n' "$bold" "$total" "$failed" "$plain"
    for version in v1 v2; do
        echo "  $(grep -c "\"version\":\"$version\".* 200\$" "$answers" || true) answered by $version"
    done
    if ((failed)); then
        grep -v ' 200$' "$answers" | sort | uniq -c | head >&2
        fail "$failed of $total requests failed"
    fi
}

say "Build ctl and the example service; the first time this takes some minutes"
run cargo build --bin ctl --example hello
built=$(realpath "${CARGO_TARGET_DIR:-target}/$(rustc -vV | sed -n 's/^host: //p')/debug")
show "export PATH=\"$built:\$PATH\""
export PATH="$built:$PATH"
for version in v1 v2; do
    run examples/hello/image.sh "hello:$tag-$version" "$version"
    images+=("hello:$tag-$version")
done

say "Start the daemon with an empty state directory"
port=$(free_port) || fail "no port from 8080 to 8179 is free"
url=http://127.0.0.1:$port/
run export CTL_SOCKET="$work/ctl.sock"
show "ctl serve --state-dir $work/state --http 127.0.0.1:$port &"
ctl serve --state-dir "$work/state" --http "127.0.0.1:$port" 2>"$work/serve.log" &
daemon=$!
for ((try = 1; ; try++)); do
    ctl status >/dev/null 2>&1 && break
    kill -0 "$daemon" 2>/dev/null || fail "the daemon ended"
    ((try < START_TRIES)) || fail "the daemon does not answer"
    sleep 0.1
done

say "Declare a service: two replicas of v1 behind http://$HOST/"
sed "s/hello:v1/hello:$tag-v1/; s/:8080/:$port/" manifests/hello.yaml >"$work/hello.yaml"
run cat "$work/hello.yaml"
run ctl apply -f "$work/hello.yaml"
run ctl get

say "Reach it"
show "curl --header 'Host: $HOST' $url"
get
echo
run ctl status

say "Scale it and roll it to v2, while $CLIENTS clients send requests"
start_load
run ctl scale hello=3
run ctl rollout hello --image "$tag-v2"
stop_load
report_load

say "See what runs now"
run ctl get services
run ctl get replicas
show "curl --header 'Host: $HOST' $url"
body=$(get)
echo "$body"
[[ $body == *'"v2"'* ]] || fail "v2 does not answer"

say "Remove it and stop the daemon"
run ctl delete hello --yes
run ctl get
run kill -TERM "$daemon"
wait "$daemon" || fail "the daemon did not stop in good order"
daemon=
say "Done in $((SECONDS - started)) s: declared, reached, scaled, rolled without a failed request, removed."
