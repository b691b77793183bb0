#!/usr/bin/env bash
# Makes stand-ins for the base images from Debian's packages, for a machine that reaches no container registry.
# Prints their names, Debian's first and Node.js's second; `stand_ins.sh postgres` prints that of PostgreSQL instead.
# They are kept as images of podman, and made anew each week, with that week's security updates. Root is needed, as for
# everything that debootstrap does.
set -euo pipefail
cd "$(dirname "$0")"
. ./common.sh

readonly RELEASE=trixie
readonly CERTIFICATES=/etc/ssl/certs/ca-certificates.crt
readonly NAME=localhost/hunkwise-stand-in
WEEK=$(date +%G-%V)
readonly WEEK DEBIAN="$NAME-debian:$RELEASE-$WEEK" NODE="$NAME-node:$RELEASE-$WEEK"
readonly POSTGRES="$NAME-postgres:$RELEASE-$WEEK"

# Where this machine's own packages come from.
mirror() {
  local uri
  # shellcheck disable=SC2016  # apt's own placeholder
  uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
  [ -n "$uri" ] || give_up "apt on this machine knows no Debian archive: use a registry (make image ENGINE=docker)"
  printf '%s\n' "$uri"
}

make_debian() {
  local folder
  folder=$(mktemp -d)
  # shellcheck disable=SC2064  # the folder of now
  trap "rm -rf '$folder'" EXIT
  say "making a stand-in for Debian's image of week $WEEK (half a minute) ..."
  debootstrap --variant=minbase --include=ca-certificates "$RELEASE" "$folder" "$(mirror)" >"$folder.log" 2>&1 ||
    { tail -n 5 "$folder.log" >&2; give_up "debootstrap failed: see $folder.log"; }
  rm -rf "$folder.log" "$folder"/var/lib/apt/lists/* "$folder"/var/cache/apt/* "$folder"/var/log/*
  # The machine may stand behind a proxy with a certificate of its own.
  [ ! -f "$CERTIFICATES" ] || cp "$CERTIFICATES" "$folder$CERTIFICATES"
  tar -C "$folder" --sort=name -c . | podman import --quiet - "$DEBIAN" >/dev/null
}

make_node() {
  say "making a stand-in for Node.js's image (half a minute) ..."
  podman build --quiet --isolation=chroot --network host --build-arg "DEBIAN=$DEBIAN" --tag "$NODE" - >/dev/null <<'END'
ARG DEBIAN
FROM ${DEBIAN}
RUN apt-get update -qq && apt-get install -qq --yes --no-install-recommends nodejs npm && rm -rf /var/lib/apt/lists/*
END
}

# Takes the variables of PostgreSQL's own image that examples/server/compose.yaml sets.
make_postgres() {
  say "making a stand-in for PostgreSQL's image (half a minute) ..."
  podman build --quiet --isolation=chroot --network host --build-arg "DEBIAN=$DEBIAN" --tag "$POSTGRES" \
    --file - postgres >/dev/null <<'END'
ARG DEBIAN
FROM ${DEBIAN}
RUN apt-get update -qq && apt-get install -qq --yes --no-install-recommends postgresql && rm -rf /var/lib/apt/lists/* \
    && install -d -m 0700 -o postgres -g postgres /var/lib/postgresql/data
COPY --chmod=0755 entrypoint.sh /
STOPSIGNAL SIGINT
ENTRYPOINT ["/entrypoint.sh"]
END
}

forget_other_weeks() {
  podman images --noheading --format '{{.Repository}}:{{.Tag}}' | { grep "^$NAME-" || true; } |
    { grep -v -- "-$WEEK\$" || true; } | while read -r old; do podman rmi "$old" >/dev/null 2>&1 || true; done
}

podman image exists "$DEBIAN" || make_debian
if [ "${1:-}" = postgres ]; then
  podman image exists "$POSTGRES" || make_postgres
  printf '%s\n' "$POSTGRES"
  exit
fi
podman image exists "$NODE" || make_node
forget_other_weeks
printf '%s\n' "$DEBIAN" "$NODE"
