#!/usr/bin/env bash
# Builds the image: `build.sh [NAME [OPTION…]]` (default localhost/hunkwise:dev); the options are the engine's own.
# ENGINE=docker or ENGINE=podman chooses; with docker the base images come from their registry, with podman they are
# stand-ins made from Debian's packages, unless BASE_IMAGES=registry. SOURCE_DATE_EPOCH, where it is set, is the time
# of everything.
set -euo pipefail
cd "$(dirname "$0")"
. ./common.sh
readonly NAME="${1:-localhost/hunkwise:dev}"
shift || true
readonly CHECKOUT=../..
ENGINE_FOUND=$(engine)
readonly ENGINE_FOUND

# The version that stands for a name in a file of the checkout.
version() {
  local found
  found=$(sed -nE "s/$2/\1/p" "$CHECKOUT/$1" | head -n 1)
  [ -n "$found" ] || give_up "$1 names no version where one is expected"
  printf '%s\n' "$found"
}

arguments=(
  "$@"
  --build-arg "VERSION=$(version src/hunkwise/__init__.py '^__version__ = "(.*)"$')"
  --build-arg "CLI_VERSION=$(version package.json '^ *"@github\/copilot": "(.*)",?$')"
  --build-arg "SDK_VERSION=$(version requirements/runtime.txt '^github-copilot-sdk==([^ ]*).*$')"
  --build-arg "REVISION=${REVISION:-$(git -C "$CHECKOUT" rev-parse HEAD 2>/dev/null || echo unknown)}"
  --build-arg "SOURCE=${SOURCE:-unknown}"
)
[ -z "${SOURCE_DATE_EPOCH:-}" ] || arguments+=(--build-arg "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH")
[ ! -f /etc/pip.conf ] || arguments+=(--secret "id=pip.conf,src=/etc/pip.conf")
[ ! -f /etc/npmrc ] || arguments+=(--secret "id=npmrc,src=/etc/npmrc")

if [ "$ENGINE_FOUND" = docker ]; then
  exec docker build "${arguments[@]}" --tag "$NAME" "$CHECKOUT"
fi
# A machine without a container engine of its own may refuse a build its control groups: chroot needs none.
arguments+=(--isolation=chroot --network host)
[ -z "${SOURCE_DATE_EPOCH:-}" ] || arguments+=(--timestamp "$SOURCE_DATE_EPOCH")
if [ "${BASE_IMAGES:-}" != registry ]; then
  stand_ins=$(./stand_ins.sh)
  { read -r debian; read -r node; } <<<"$stand_ins"
  arguments+=(--build-arg "DEBIAN_IMAGE=$debian" --build-arg "NODE_IMAGE=$node")
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
podman build "${arguments[@]}" --tag "$NAME" "$CHECKOUT" >"$log" 2>&1 || { cat "$log" >&2; give_up "the build failed"; }
say "built $NAME"
