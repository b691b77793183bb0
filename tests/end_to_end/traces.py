"""What a step left behind: processes, secrets in any encoding, and words that contradict each other."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from tests.end_to_end.step import Result

_CONNECTION_TOKEN = re.compile(r"(?<!sha256:)(?<![0-9a-fA-F])[0-9a-f]{64}(?![0-9a-fA-F])")
"""The shape of the sidecar's random token; nothing else of hunkwise's has 64 digits."""
_CONCLUSIONS = {0: "success", 1: "failure", 2: "failure", 3: "failure", 4: "neutral"}


def processes_of(temporary: Path) -> list[str]:
    """The command lines of the processes whose environment or folder names the step's TMPDIR."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        try:
            environ = (process / "environ").read_bytes()
            command = (process / "cmdline").read_bytes()
            folder = str((process / "cwd").readlink())
        except OSError:  # it ended while we looked
            continue
        if f"{temporary}".encode() in environ or folder.startswith(f"{temporary}"):
            found.append(command.replace(b"\0", b" ").decode("utf-8", "replace"))
    return found


def without_masks(log: str) -> str:
    """The log without the commands that tell the runner what to hide."""
    return "\n".join(line for line in log.splitlines() if not line.startswith("::add-mask::"))


def secrets_in(text: str, secrets: Iterable[str]) -> list[str]:
    """Which secrets the text holds, in whatever notation; a connection token by its shape."""
    folded = text.casefold()
    found = [secret for secret in secrets if any(form.casefold() in folded for form in _forms(secret))]
    return found + [f"connection token {token[:4]}…" for token in _CONNECTION_TOKEN.findall(text)]


def _forms(secret: str) -> Iterator[str]:
    raw = secret.encode()
    yield secret
    yield secret[::-1]
    yield quote(secret, safe="")
    yield raw.hex()
    for shift in range(3):
        # The middle of the text's Base64, the same whatever stands around it.
        encoded = b64encode(b"\0" * shift + raw).decode()
        inner = encoded[4 if shift else 0 :].rstrip("=")[:-2]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")


def assert_tells_one_story(result: Result) -> None:
    """Exit code, outputs, summary, report and annotations agree, and nothing fell over."""
    assert "Traceback" not in result.log + result.errors
    assert "fault of hunkwise's own" not in result.log
    assert result.code in _CONCLUSIONS, result.errors
    if result.outputs:
        assert result.outputs["conclusion"] == _CONCLUSIONS[result.code]
    if result.code in (2, 3):
        assert result.commands("error") != []
        assert result.report is None
        assert not result.summary or "no review was made" in result.summary
    if result.code == 4:
        assert result.commands("warning") != []
    if result.code == 1:
        assert result.commands("error") != []
    if result.report is not None:
        _assert_report_agrees(result)


def _assert_report_agrees(result: Result) -> None:
    report = result.report
    assert (report["exit_code"], report["conclusion"]) == (result.code, _CONCLUSIONS[result.code])
    if result.outputs:
        assert result.outputs["findings"] == str(len(report["findings"]))
        assert result.outputs["coverage"] == str(report["coverage"]["percent"])
        assert result.outputs["highest-severity"] == (report["highest_severity"] or "")
        assert result.outputs["review-url"] == (report["review_url"] or "")
    if result.summary:
        assert (
            f"({report['coverage']['percent']} %)" in result.summary or "nothing to review" in result.summary
        )
    assert {found["where"] for found in report["findings"]} <= {"inline", "file", "body", "summary"}
