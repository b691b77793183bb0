#!/bin/bash
# Starts the Copilot CLI as a server on port 4321. Arguments are passed on to the CLI.
#
# COPILOT_CONNECTION_TOKEN must be set: whoever has it can use the CLI's account, and read every conversation.
# COPILOT_GITHUB_TOKEN is the token of the account; each of the two may be in a file that NAME_FILE names.
set -euo pipefail
umask 077

refuse() {
  printf 'copilot server: %s\n' "$*" >&2
  exit 2
}

# Sets the variable $1 to the content of the file that $1_FILE names, if it names one.
read_secret() {
  local file_variable="$1_FILE"
  local file="${!file_variable:-}" text
  [ -n "$file" ] || return 0
  [ -r "$file" ] || refuse "$file_variable names $file, which user $(id -u) cannot read."
  text=$(<"$file")
  export "$1=$text"
}

read_secret COPILOT_CONNECTION_TOKEN
read_secret COPILOT_GITHUB_TOKEN

case ${COPILOT_CONNECTION_TOKEN:-} in
  '') refuse "COPILOT_CONNECTION_TOKEN is missing: without it everybody who reaches this port can use the account." ;;
  *[!A-Za-z0-9._~+/=-]*) refuse "COPILOT_CONNECTION_TOKEN must have letters, digits and . _ ~ + / = - only." ;;
  ????????????????*) ;;
  *) refuse "COPILOT_CONNECTION_TOKEN must have at least 16 characters: openssl rand -hex 32 makes one." ;;
esac
[ "$(id -u)" != 0 ] || refuse "it does not run as root: leave out the option that sets the user."
[ -z "${COPILOT_ALLOW_ALL:-}" ] || refuse "COPILOT_ALLOW_ALL is set, which lets a model run any command here."
[ -w "$COPILOT_HOME" ] || refuse "user $(id -u) cannot write to $COPILOT_HOME: mount a volume there that it owns."

exec /opt/copilot/copilot --headless --host 0.0.0.0 --port 4321 --log-level none --session-idle-timeout 1800 "$@"
