"""The JSON report of another workflow, read with every fault named, and compared with what GitHub says.

The job that wrote it ran on a pull request of a stranger, who may have changed that job's workflow: what it
says is foreign, down to the last number. It can name findings and tell of coverage; it decides nothing else.
"""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic import ValidationError

from hunkwise.errors import SettingsError
from hunkwise.publish.characters import cut, one_line
from hunkwise.publish.report import VERSION, digest_of
from hunkwise.publish.report_shape import MAX_FINDINGS, ReportedReview

__all__ = ["MAX_BYTES", "ReportedReview", "check", "read_report"]

MAX_BYTES: Final = 10 * 1024 * 1024
_MOST_KEYS = 64
"""Keys of one object: more than any object of a report has."""
_MOST_FAULTS = 10
_MAKE_AGAIN = "Run the workflow that made it again."


def read_report(raw: bytes) -> ReportedReview:
    """The report in a file's bytes. Raises SettingsError with what is wrong with it, all faults at once.

    The digest tells of damage on the way. It proves nothing about who wrote the report: anybody can compute it.
    """
    report, whole = _parsed(raw)
    version, findings = report.get("version"), report.get("findings")
    if type(version) is not int or version != VERSION:
        raise SettingsError(
            [
                f"The report is not of version {VERSION}, the only one that this hunkwise reads; use the same"
                " commit of hunkwise in the workflow that makes it and in the one that publishes it."
            ]
        )
    if not whole:
        raise SettingsError([f"The report is damaged: its digest does not fit what it says. {_MAKE_AGAIN}"])
    if isinstance(findings, list) and len(findings) > MAX_FINDINGS:
        raise SettingsError(
            [
                f"The report has {len(findings):,} findings, and at most {MAX_FINDINGS:,} are published; narrow"
                " the review by `paths`, or raise `min-severity`."
            ]
        )
    try:
        return ReportedReview.model_validate(report)
    except ValidationError as error:
        raise SettingsError(_sentences(error)) from error


def check(
    report: ReportedReview,
    *,
    repository: str,
    number: int | None = None,
    head_sha: str | None = None,
    head_repository: str | None = None,
) -> None:
    """Raises SettingsError with all in which the report differs from what GitHub says; None is not compared."""
    faults = []
    if report.repository.casefold() != repository.casefold():
        faults.append(
            f"The report is about the repository {_shown(report.repository)}, not about {repository};"
            " take the artifact of the run that started this one."
        )
    if report.pull_request is None:
        faults.append(
            "The report is about a range of commits, not about a pull request; make it on pull_request."
        )
    elif number is not None and report.pull_request != number:
        faults.append(
            f"The report is about pull request #{report.pull_request}, not about #{number};"
            " take the artifact of the run that reviewed it."
        )
    if head_sha is not None and report.head_sha != head_sha:
        faults.append(
            f"The report is about the commit {report.head_sha[:12]}, not about {head_sha[:12]};"
            " only the report of that commit's own run can be published."
        )
    said = report.head_repository
    if head_repository is not None and said and said.casefold() != head_repository.casefold():
        faults.append(
            f"The report is about a head in the repository {_shown(said)}, not in {head_repository};"
            " take the artifact of the run that started this one."
        )
    if faults:
        raise SettingsError(faults)


def _parsed(raw: bytes) -> tuple[dict[str, Any], bool]:
    """The object in the file, and whether its digest fits."""
    if len(raw) > MAX_BYTES:
        raise SettingsError(
            [f"The report has more than {MAX_BYTES:,} bytes, and is not read; narrow the review by `paths`."]
        )
    try:
        report: object = json.loads(raw.decode("utf-8"), object_pairs_hook=_object, parse_constant=_refuse)
        whole = isinstance(report, dict) and report.get("digest") == digest_of(report)
    except RecursionError as error:
        raise SettingsError([f"The report is nested too deeply. {_MAKE_AGAIN}"]) from error
    except ValueError as error:
        raise SettingsError([f"The report is not JSON, or not whole. {_MAKE_AGAIN}"]) from error
    if not isinstance(report, dict):
        raise SettingsError([f"The report is not an object of JSON. {_MAKE_AGAIN}"])
    return report, whole


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object with each key once, and not more of them than a report can have."""
    made = dict(pairs)
    if len(made) != len(pairs) or len(pairs) > _MOST_KEYS:
        raise ValueError(len(pairs))
    return made


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _sentences(error: ValidationError) -> list[str]:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    said = [
        f"The report has a fault at {_shown('.'.join(map(str, detail['loc'])))}: {detail['msg']}."
        for detail in found[:_MOST_FAULTS]
    ]
    if len(found) > _MOST_FAULTS:
        said.append(f"The report has {len(found) - _MOST_FAULTS:,} more faults.")
    return [
        *said,
        "Use the same commit of hunkwise in the workflow that makes the report and in the one that publishes it.",
    ]


def _shown(foreign: str) -> str:
    return cut(one_line(foreign), 100)
