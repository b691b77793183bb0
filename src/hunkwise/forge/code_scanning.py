"""SARIF → GitHub's code scanning."""

from __future__ import annotations

import gzip
import time
from base64 import b64encode
from collections.abc import Callable

from hunkwise.errors import ForgeError, ForgeKind
from hunkwise.forge.client import GitHub
from hunkwise.forge.outgoing import Outgoing
from hunkwise.publish.secrets import SecretScan

_MOST_BYTES = 10 * 1024 * 1024  # of the compressed file: https://docs.github.com/rest/code-scanning
_TOO_LARGE = (
    "GitHub takes no more than 10 MB of compressed SARIF: "
    "raise `min-severity`, or take the file from the output `sarif`."
)
_PERMISSION = (
    "Give the job `permissions: security-events: write`, and see that code scanning is available in the "
    "repository; the SARIF file is at the output `sarif` in any case."
)
_REFUSED = (ForgeKind.FORBIDDEN, ForgeKind.NOT_FOUND)


class CodeScanning:
    """Uploads what was found. The same upload twice shows each finding once."""

    def __init__(
        self, github: GitHub, scan: SecretScan, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._outgoing = Outgoing(github, scan, sleep=sleep)

    def upload(self, sarif_text: str, commit_sha: str, ref: str) -> str:
        """The upload's id. `ref` is `refs/pull/N/head` or a branch's. Raises ForgeError."""
        self._outgoing.refuse_secrets(sarif_text)
        packed = gzip.compress(sarif_text.encode("utf-8", "replace"), mtime=0)
        if len(packed) > _MOST_BYTES:
            size = f"{len(packed) / 1024 / 1024:.1f} MB"
            raise ForgeError(ForgeKind.INVALID, f"The SARIF file is too large to upload: {size}.", _TOO_LARGE)
        body = {
            "commit_sha": commit_sha,
            "ref": ref,
            "sarif": b64encode(packed).decode("ascii"),
            "tool_name": "hunkwise",
        }
        try:
            return self._outgoing.surely(lambda: self._outgoing.post("code-scanning/sarifs", body).text("id"))
        except ForgeError as error:
            if error.kind not in _REFUSED:
                raise
            raise ForgeError(error.kind, error.message, _PERMISSION) from error
