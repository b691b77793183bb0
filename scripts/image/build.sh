#!/usr/bin/env bash
# Builds the image: `build.sh [NAME [--archive FILE | --push]]` (default localhost/hunkwise:dev).
#
# A release does one of these, and reads the image's digest from standard output:
#   --archive FILE   writes the image as an OCI archive; with podman
#   --push           pushes the image to its registry, without a tag; with docker, and without a cache
#
# ENGINE=docker or ENGINE=podman chooses; with docker the base images come from their registry, with podman they are
# stand-ins made from Debian's packages, unless BASE_IMAGES=registry. SOURCE_DATE_EPOCH, where it is set, is the time
# of everything.
set -euo pipefail
. "$(dirname "$0")/common.sh"
readonly NAME="${1:-localhost/hunkwise:dev}" RELEASE="${2:-}"
case $#:$RELEASE in
  [01]: | 2:--push) ARCHIVE='' ;;
  3:--archive) ARCHIVE=$(realpath "$3") ;;
  *) give_up "how it is called: build.sh [NAME [--archive FILE | --push]]" ;;
esac
readonly ARCHIVE CHECKOUT=../..
cd "$(dirname "$0")"
ENGINE_FOUND=$(engine)
readonly ENGINE_FOUND
case $RELEASE:$ENGINE_FOUND in
  --archive:docker) give_up "docker writes no archive whose digest it keeps: set ENGINE=podman" ;;
  --push:podman) give_up "a release is pushed by docker: set ENGINE=docker" ;;
esac

# The version that stands for a name in a file of the checkout.
version() {
  local found
  found=$(sed -nE "s/$2/\1/p" "$CHECKOUT/$1" | head -n 1)
  [ -n "$found" ] || give_up "$1 names no version where one is expected"
  printf '%s\n' "$found"
}

REVISION=${REVISION:-$(git -C "$CHECKOUT" rev-parse HEAD 2>/dev/null || echo unknown)}
arguments=(
  --build-arg "VERSION=$(version src/hunkwise/__init__.py '^__version__ = "(.*)"$')"
  --build-arg "CLI_VERSION=$(version package.json '^ *"@github\/copilot": "(.*)",?$')"
  --build-arg "SDK_VERSION=$(version requirements/runtime.txt '^github-copilot-sdk==([^ ]*).*$')"
  --build-arg "REVISION=$REVISION"
  --build-arg "SOURCE=${SOURCE:-unknown}"
)
[ -z "${SOURCE_DATE_EPOCH:-}" ] || arguments+=(--build-arg "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH")
[ ! -f /etc/pip.conf ] || arguments+=(--secret "id=pip.conf,src=/etc/pip.conf")
[ ! -f /etc/npmrc ] || arguments+=(--secret "id=npmrc,src=/etc/npmrc")

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if [ "$RELEASE" = --push ]; then
  # Provenance and SBOMs are attested later, of the index that users pull (release.yml).
  docker buildx build "${arguments[@]}" --no-cache --provenance=false --sbom=false --metadata-file "$scratch/metadata" \
    --output "type=image,name=$NAME,push-by-digest=true,name-canonical=true,push=true,rewrite-timestamp=true" \
    "$CHECKOUT" >&2
  python3 -c 'import json, sys; print(json.load(sys.stdin)["containerimage.digest"])' <"$scratch/metadata"
  exit
fi
if [ "$ENGINE_FOUND" = docker ]; then
  docker build "${arguments[@]}" --tag "$NAME" "$CHECKOUT"
  exit
fi

# A machine without a container engine of its own may refuse a build its control groups: chroot needs none.
arguments+=(--isolation=chroot --network host)
# podman 4 takes a LABEL from its cache although the build argument in it has changed, unless the option names it.
arguments+=(--label "org.opencontainers.image.revision=$REVISION")
[ -z "${SOURCE_DATE_EPOCH:-}" ] || arguments+=(--timestamp "$SOURCE_DATE_EPOCH")
if [ "${BASE_IMAGES:-}" != registry ]; then
  stand_ins=$(./stand_ins.sh)
  { read -r debian; read -r node; } <<<"$stand_ins"
  arguments+=(--build-arg "DEBIAN_IMAGE=$debian" --build-arg "NODE_IMAGE=$node")
fi
podman build "${arguments[@]}" --tag "$NAME" "$CHECKOUT" >"$scratch/log" 2>&1 ||
  { cat "$scratch/log" >&2; give_up "the build failed"; }
say "built $NAME"
if [ -n "$ARCHIVE" ]; then
  rm -f "$ARCHIVE" # podman would add to it
  podman push --quiet --digestfile "$scratch/digest" "$NAME" "oci-archive:$ARCHIVE:$NAME"
  say "wrote ${ARCHIVE##*/}"
  cat "$scratch/digest"
fi
