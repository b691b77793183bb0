# What the scripts of this folder share; to be sourced by them.
# shellcheck shell=bash

say() { printf '%s\n' "image: $*" >&2; }

give_up() {
  say "$*"
  exit 1
}

# podman or docker, whichever is there; ENGINE chooses.
engine() {
  local name
  for name in ${ENGINE:-podman docker}; do
    if command -v "$name" >/dev/null && "$name" info >/dev/null 2>&1; then
      printf '%s\n' "$name"
      return
    fi
  done
  give_up "building the image needs ${ENGINE:-podman or docker}, running: on Debian, apt-get install podman buildah debootstrap runc"
}
