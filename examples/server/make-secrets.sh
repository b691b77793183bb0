#!/bin/bash
# Makes the secrets of compose.yaml in ./secrets that are only for this installation, and sets who may read each.
#
# Put app.pem, webhook-secret and copilot-token there before. Run it as root; again after you have changed a file.
set -euo pipefail
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
cd secrets

for name in app.pem webhook-secret copilot-token; do
  [ -s "$name" ] || { echo "secrets/$name is missing: README.md says where it comes from." >&2; exit 1; }
done
for name in connection-token postgres-password; do
  [ -s "$name" ] || od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n' >"$name"
done
printf 'postgres:5432:hunkwise:hunkwise:%s\n' "$(<postgres-password)" >pgpass

# The containers see the owners and modes of these files. 10001: the Copilot CLI. 10002: hunkwise, in group 10001.
chmod 400 ./*
chown 0:0 postgres-password
chown 10001:10001 copilot-token connection-token
chown 10002:10001 app.pem webhook-secret pgpass
chmod 440 connection-token
