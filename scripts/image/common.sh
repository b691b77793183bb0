# What the scripts of this folder share; to be sourced by them.
# shellcheck shell=bash

say() { printf '%s\n' "image: $*" >&2; }

give_up() {
  say "$*"
  exit 1
}

# Docker where one answers, else podman; ENGINE chooses.
engine() {
  local name
  for name in ${ENGINE:-docker podman}; do
    if "$name" version >/dev/null 2>&1; then
      printf '%s\n' "$name"
      return
    fi
  done
  give_up "there is no ${ENGINE:-docker or podman} that answers: on Debian, apt-get install podman buildah debootstrap runc"
}
