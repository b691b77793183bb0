#!/usr/bin/env bash
# Builds the images of examples/server on top of hunkwise's, for its tests: `servers.sh [NAME]`, where NAME is the image
# that build.sh built (default localhost/hunkwise:dev). With podman it makes a stand-in for PostgreSQL's image too.
set -euo pipefail
. "$(dirname "$0")/common.sh"
readonly HUNKWISE="${1:-localhost/hunkwise:dev}" CHECKOUT=../..
cd "$(dirname "$0")"
ENGINE_FOUND=$(engine)
readonly ENGINE_FOUND EXAMPLES="$CHECKOUT/examples/server"

arguments=(--build-arg "HUNKWISE_IMAGE=$HUNKWISE")
if [ "$ENGINE_FOUND" = podman ]; then
  arguments+=(--isolation=chroot --network host)
  if [ "${BASE_IMAGES:-}" != registry ]; then
    ./stand_ins.sh postgres >/dev/null
    { read -r debian; read -r _; } <<<"$(./stand_ins.sh)"
    arguments+=(--build-arg "DEBIAN_IMAGE=$debian")
  fi
fi
secrets=()
[ ! -f /etc/pip.conf ] || secrets+=(--secret "id=pip.conf,src=/etc/pip.conf")

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# build IMAGE ARGUMENT...
build() {
  "$ENGINE_FOUND" build "${arguments[@]}" --tag "$@" >"$log" 2>&1 || { cat "$log" >&2; give_up "the build of $1 failed"; }
  say "built $1"
}
build localhost/copilot-cli-server:dev "$EXAMPLES"
build localhost/hunkwise-service:dev "${secrets[@]}" --file "$EXAMPLES/service.Dockerfile" "$CHECKOUT"
