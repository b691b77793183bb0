"""Renders what was reviewed of a change: the lines, the files that were not, and the folders that they are in."""

from __future__ import annotations

from collections.abc import Sequence

from hunkwise.domain.review import Coverage, FileCoverage
from hunkwise.domain.text import count, cut, one_line, take_fitting
from hunkwise.publish import sanitize
from hunkwise.publish.change_summary import folded
from hunkwise.publish.conclusion import describe_remedy

_MOST_NAMED = 5
"""Files that are not fully reviewed and are named above the findings."""
_MOST_IN_LINE = 3
_MOST_FOLDERS = 20


def missing_files(coverage: Coverage) -> list[str]:
    """Returns how many lines were reviewed, and the first files that should have been; empty if all were."""
    if coverage.complete:
        return []
    changed = count(coverage.changed_lines, "changed line")
    lines = [
        f"{_missing_sentence(coverage)} {coverage.reviewed_lines:,} of {changed} ({coverage.percent} %) were reviewed."
    ]
    if coverage.unlisted_files:
        lines[0] += f" GitHub did not list {coverage.unlisted_files:,} of them."
    lines += [_describe_file(file, 120) for file in coverage.missing[:_MOST_NAMED]]
    if (left := len(coverage.missing) - _MOST_NAMED) > 0:
        lines.append(f"- and {count(left, 'more file')}, listed below")
    lines += [remedy] if (remedy := describe_remedy(coverage)) else []
    return ["\n".join(lines)]


def missing_line(coverage: Coverage) -> str:
    """Returns one line with the first files that should have been reviewed and were not; empty if all were."""
    if coverage.complete:
        return ""
    names = [
        f"{sanitize.code_span(cut(file.path, 100))} ({file.reason})"
        for file in coverage.missing[:_MOST_IN_LINE]
    ]
    left = len(coverage.missing) + coverage.unlisted_files - len(names)
    names += [f"{left:,} more, in the summary comment"] if left else []
    return f"{_missing_sentence(coverage)} {', '.join(names)}."


def _missing_sentence(coverage: Coverage) -> str:
    files = len(coverage.missing) + coverage.unlisted_files
    return f"⚠️ **Not fully reviewed: {count(files, 'file')}.**"


def coverage_sentence(coverage: Coverage, head_sha: str) -> str:
    """Returns how many files were reviewed, and the lines too where `missing_files` does not say them."""
    counted = [file for file in coverage.files if file.counted_lines or file.reason is None or file.missing]
    read = sum(1 for file in coverage.files if file.reviewed_lines)
    at = f" at {sanitize.code_span(head_sha[:12])}" if head_sha else ""
    if not counted and not coverage.unlisted_files:
        if lines := coverage.unread_lines:
            return (
                f"Reviewed 0 of {count(lines, 'changed line')} (0 %){at}: the files look generated or vendored, or "
                'hold data. `ignore: ["!PATH"]` in the configuration has generated ones reviewed.'
            )
        return f"Reviewed nothing{at}: every changed file is skipped."
    files = f"{read:,} of {count(len(counted), 'file')}{at}."
    if not coverage.complete:
        return f"Reviewed {files}"
    changed = count(coverage.changed_lines, "changed line")
    return f"Reviewed {coverage.reviewed_lines:,} of {changed} ({coverage.percent} %) in {files}"


def unreviewed(coverage: Coverage, names: int) -> list[str]:
    """Returns folded lists: the skipped files, then those that `missing_files` does not name. Each has up to `names`
    bytes."""
    skipped = tuple(file for file in coverage.files if file.reason is not None and not file.missing)
    blocks = [_fold_files("Skipped", skipped, names)] if skipped else []
    if len(coverage.missing) > _MOST_NAMED:
        blocks.append(_fold_files("Not fully reviewed", coverage.missing, names))
    return blocks


def _fold_files(title: str, files: Sequence[FileCoverage], names: int) -> str:
    """Returns a foldable list of files with their reasons; the list has at most `names` bytes."""
    lines = take_fitting((_describe_file(file) for file in files), names, "\n")
    if left := len(files) - len(lines):
        lines.append(f"- {count(left, 'file')} more, named in the JSON report")
    return folded(f"{title}: {count(len(files), 'file')}", "\n".join(lines))


def _describe_file(file: FileCoverage, longest: int = 200) -> str:
    """Returns a line of a list; the path has at most `longest` characters."""
    detail = f" ({sanitize.line(file.detail, 120)})" if file.detail else ""
    part = ""
    if file.reviewed_lines:
        part = f", {file.reviewed_lines:,} of {file.changed_lines:,} changed lines were reviewed"
    return f"- {sanitize.code_span(cut(file.path, longest))}: {file.reason}{detail}{part}"


def folder_table(coverage: Coverage) -> str:
    """Returns a table of the top folders, those with most unreviewed files first.

    It is empty unless several folders were changed, and the review is partial or skipped files in several of them.
    """
    folders: dict[str, list[FileCoverage]] = {}
    for file in coverage.files:
        folders.setdefault(file.path.partition("/")[0] if "/" in file.path else "", []).append(file)
    with_gaps = [name for name, files in folders.items() if any(file.reason for file in files)]
    if len(folders) < 2 or (coverage.complete and len(with_gaps) < 2):
        return ""
    ordered = sorted(folders.items(), key=lambda item: (-sum(file.missing for file in item[1]), item[0]))
    rows = [
        f"| {folder_cell(name)} | {len(files):,} | {sum(1 for file in files if file.reason and not file.missing):,} "
        f"| {sum(file.missing for file in files):,} | {sum(file.reviewed_lines for file in files):,} |"
        for name, files in ordered[:_MOST_FOLDERS]
    ]
    head = ["| Folder | Files | Skipped | Not fully reviewed | Lines reviewed |", "|---|--:|--:|--:|--:|"]
    left = len(ordered) - len(rows)
    return "\n".join([*head, *rows]) + (f"\n\nand {count(left, 'more folder')}" if left else "")


def folder_cell(path: str) -> str:
    """Returns a folder as the cell of a table; an empty path is that of files in no folder."""
    # A pipe ends a cell even within a code span; the table parser removes the backslash.
    return sanitize.code_span(cut(one_line(path), 100)).replace("|", "\\|") if path else "(no folder)"
