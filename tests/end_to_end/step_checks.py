"""Checks what a step left behind: processes, secrets in any encoding, and contradictory outputs."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from tests.end_to_end.step import Result
from tests.fakes.github import FakeGitHub
from tests.fakes.github_state import CheckRun

_CONNECTION_TOKEN = re.compile(r"(?<!sha256:)(?<![0-9a-fA-F])[0-9a-f]{64}(?![0-9a-fA-F])")
"""The shape of the sidecar's random token; hunkwise writes no other 64 digits."""
_TIME_WAIT, _LISTEN = "06", "0A"
"""States of TCP in /proc/net/tcp."""
_SUPERSEDED = ("neutral", "Superseded")
_NO_REVIEW = "No review was made"
_WITHOUT_REPORT = (_SUPERSEDED, *((word, _NO_REVIEW) for word in ("failure", "cancelled", "neutral")))
_CONCLUSIONS = {0: "success", 1: "failure", 2: "failure", 3: "failure", 4: "neutral"}


def connections_to(url: str) -> int:
    """Counts the open TCP connections of a server on 127.0.0.1, pending ones included."""
    port = f":{int(url.rpartition(':')[2]):04X}"
    states = [
        fields[3]
        for fields in map(str.split, Path("/proc/net/tcp").read_text("ascii").splitlines()[1:])
        if fields[1].endswith(port)
    ]
    return sum(state not in (_LISTEN, _TIME_WAIT) for state in states)


def processes_of(temporary: Path) -> list[str]:
    """Returns the command lines of processes whose environment, arguments or folder name the step's TMPDIR."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        try:
            environ = (process / "environ").read_bytes()
            command = (process / "cmdline").read_bytes()
            folder = str((process / "cwd").readlink())
        except OSError:  # it has ended
            continue
        if f"{temporary}".encode() in environ + command or folder.startswith(f"{temporary}"):
            found.append(command.replace(b"\0", b" ").decode("utf-8", "replace"))
    return found


def children_of(pid: int) -> list[int]:
    """Returns the process ids of all descendants."""
    found: list[int] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended
            for child in map(int, children.read_text().split()):
                found += [child, *children_of(child)]
    return found


def listening_ports(process: int) -> list[int]:
    """Returns the ports that a process listens on."""
    links = {link_target(one) for one in Path(f"/proc/{process}/fd").iterdir()}
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return [
        int(row[1].partition(":")[2], 16) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in links
    ]


def link_target(file: Path) -> str:
    try:
        return str(file.readlink())
    except OSError:  # it was closed
        return ""


def without_masks(log: str) -> str:
    """Returns the log without the add-mask commands."""
    return "\n".join(line for line in log.splitlines() if not line.startswith("::add-mask::"))


def secrets_in(text: str, secrets: Iterable[str]) -> list[str]:
    """Returns the secrets that the text holds in any encoding, and connection tokens by their shape."""
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
        # The middle of the text's Base64 does not depend on the text around it.
        encoded = b64encode(b"\0" * shift + raw).decode()
        inner = encoded[4 if shift else 0 :].rstrip("=")[:-2]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")


def assert_outputs_agree(result: Result) -> None:
    """Checks that exit code, outputs, summary, report and annotations agree, without a traceback."""
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
    levels = {"inline", "file", "body", "annotation", "summary", "report"}
    assert {found["where"] for found in report["findings"]} <= levels


def assert_nothing_unfinished(github: FakeGitHub, results: Iterable[Result]) -> None:
    """Checks that no review is pending, and that each check run has its run's conclusion."""
    assert [review.id for review in github.reviews if review.state == "PENDING"] == []
    results = list(results)
    by_run = {f"hunkwise:{result.report['run']}": result for result in results if result.report is not None}
    unnamed = {_CONCLUSIONS[one.code] for one in results if one.report is None and one.code not in (2, 3)}
    concluded = {(one.report["head_sha"], _CONCLUSIONS[one.code]) for one in by_run.values()}
    for run in github.check_runs:
        if run.status != "completed":
            assert _was_refused(github, run), f"the check run {run.id} was left unfinished"
        elif run.external_id in by_run:
            _assert_check_run_agrees(run, by_run[run.external_id])
        elif run.output["title"] == "As in pull request #1":
            head = github.hub.pulls[1].head_sha
            assert run.conclusion == [one.conclusion for one in github.check_runs if one.head_sha == head][-1]
        elif run.conclusion not in unnamed and (run.head_sha, run.conclusion) not in concluded:
            # Of a run that made no review, or was killed: then a later run concluded it.
            assert (run.conclusion, run.output["title"]) in _WITHOUT_REPORT


def _was_refused(github: FakeGitHub, run: CheckRun) -> bool:
    """Returns whether the last request about it was its conclusion, which GitHub did not accept."""
    sent = [request.json for request in github.writes if request.path.endswith(f"/check-runs/{run.id}")]
    return bool(sent) and sent[-1].get("status") == "completed"


def _assert_check_run_agrees(run: CheckRun, result: Result) -> None:
    """Checks the conclusion, and that the summary says everything that the title says."""
    title = run.output["title"]
    if (run.conclusion, title) == _SUPERSEDED:
        return
    assert run.conclusion == _CONCLUSIONS[result.code]
    if result.summary:
        summary = _letters(result.summary.replace("no open findings", "no findings"))
        for sentence in re.split(r"(?<=\.) ", title.removesuffix("…")):
            said = re.sub("^[0-9,]+ findings?: ", "", sentence).partition(";")[0]
            assert _letters(said) in summary, sentence


def _letters(text: str) -> str:
    """Returns letters and digits alone."""
    return re.sub(r"\W", "", text).lower()
