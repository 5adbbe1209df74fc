#!/usr/bin/env bash
# Builds the images of the compose topology without a registry, for tests: nginx and HAProxy from Debian packages, the
# node from this source. Quick when they are there and nothing has changed. `stand-ins.sh remove` removes them.
set -euo pipefail
cd "$(dirname "$0")/.."

proxies=wssoak-stand-in/proxies:bookworm
node=wssoak-stand-in/node:latest

if [ "${1:-}" = remove ]; then
    docker image rm -f "$proxies" "$node" >/dev/null 2>&1 || true
    exit 0
fi

has() { docker image inspect "$1" >/dev/null 2>&1; }

if ! has "$proxies"; then
    # As in the official image: nginx in the foreground. (It has another stop signal too, which no test depends on.)
    mmdebstrap --quiet --variant=apt --include=nginx-light,haproxy bookworm - \
        | docker import -c 'CMD ["nginx", "-g", "daemon off;"]' - "$proxies" >/dev/null
fi

# Static, since the image has no libc.
target="$(uname -m)-unknown-linux-gnu"
RUSTFLAGS='-C target-feature=+crt-static' cargo build --quiet --release --no-default-features --target "$target"
binary="${CARGO_TARGET_DIR:-target}/$target/release/wssoak"
sum="$(sha256sum "$binary" | cut -d' ' -f1)"
if [ "$(docker image inspect -f '{{index .Config.Labels "sum"}}' "$node" 2>/dev/null)" != "$sum" ]; then
    tar --create --directory "$(dirname "$binary")" wssoak \
        | docker import -c 'ENTRYPOINT ["/wssoak"]' -c "LABEL sum=$sum wssoak=stand-in" - "$node" >/dev/null
    # The one that it replaces has lost its name.
    docker image prune --force --filter label=wssoak=stand-in >/dev/null
fi

# For the caller to evaluate.
echo "export WSSOAK_NGINX_IMAGE=$proxies WSSOAK_OUTER_IMAGE=$proxies WSSOAK_NODE_IMAGE=$node"
