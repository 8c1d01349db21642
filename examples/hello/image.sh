#!/usr/bin/env bash
# Builds the example and makes an image of its static binary and nothing else:
#   examples/hello/image.sh REFERENCE VERSION
# The same as the Dockerfile in this folder, without a builder, which not every Docker command has. An image that holds the
# same binary already is kept.
set -euo pipefail
if (($# != 2)); then
    sed -n 's/^#   //p' "$0" >&2
    exit 2
fi
reference=$1 version=$2
cd "$(dirname "$0")/../.."

cargo build --quiet --example hello
built=${CARGO_TARGET_DIR:-target}/$(rustc -vV | sed -n 's/^host: //p')/debug/examples
made_from="$version $(sha256sum <"$built/hello" | cut -d ' ' -f 1)"
label='{{with .Config}}{{index .Labels "hello.made-from"}}{{end}}'
if [[ $(docker image inspect --format "$label" "$reference" 2>/dev/null) == "$made_from" ]]; then
    echo "$reference is there already"
    exit 0
fi
tar -C "$built" -c hello |
    docker import --change "ENV VERSION=$version" --change "LABEL hello.made-from=\"$made_from\"" \
        --change 'ENTRYPOINT ["/hello"]' - "$reference" >/dev/null
echo "made $reference"
