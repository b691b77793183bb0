#!/bin/bash
# Exits with 0 if the Copilot CLI in this container answers a request with its connection token within 4 seconds.
#
# The image has neither Python nor Node.js, so this speaks the CLI's protocol (JSON-RPC with a header, as in LSP).
# That the port accepts a connection is not enough: the kernel does so for a process that hangs.
set -euo pipefail

token=${COPILOT_CONNECTION_TOKEN:-$(<"${COPILOT_CONNECTION_TOKEN_FILE:-/dev/null}")}
request='{"jsonrpc":"2.0","id":1,"method":"connect","params":{"token":"'$token'"}}'

exec 3<>/dev/tcp/127.0.0.1/4321
printf 'Content-Length: %d\r\n\r\n%s' "${#request}" "$request" >&3
IFS=' ' read -r -t 4 name length <&3
[ "$name" = Content-Length: ]
read -r -t 4 _ <&3
IFS= read -r -t 4 -N "${length%$'\r'}" answer <&3
case $answer in
  *'"result"'*) ;;
  *) exit 1 ;;
esac
