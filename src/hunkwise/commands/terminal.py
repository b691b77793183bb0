"""Prints the report of a local review to a terminal, and a progress bar before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.syntax import Syntax
from rich.text import Text

from hunkwise.domain.diff import FileDiff, Side, by_path
from hunkwise.domain.finding import UNVERIFIED, Finding, Severity
from hunkwise.domain.review import Coverage, Review, SuppressedFinding
from hunkwise.domain.text import as_percent, count, cut, plain
from hunkwise.flows.analysis import Progress as ProgressCallback
from hunkwise.publish.audit_issue import AuditReport
from hunkwise.publish.sections import check_of, low_confidence_title, tally

_STYLES = {
    Severity.CRITICAL: "bold white on red",
    Severity.HIGH: "bold red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
}
_AROUND = 2
"""Number of lines shown before and after an anchored one."""
_MOST_LINES = 40
"""Maximum number of code lines shown for one finding."""
_DEMO = Text("This is the demo: fixed rules, not a model. See the README for real ones.", style="magenta")
_MOST_FOLDERS = 10
_LINE_WIDTH = 400
"""Maximum number of characters shown of one line: lexers are slow on long ones, and the code is untrusted."""


class _Terminal(Console):
    def on_broken_pipe(self) -> None:
        """Raises BrokenPipeError for `cli`: rich would exit with 1, which is the exit code of a gate."""
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """Returns a console on standard output, or on standard error."""
    return _Terminal(highlight=False, stderr=stderr)


@contextmanager
def progress(console: Console, verb: str = "Reviewing") -> Iterator[ProgressCallback]:
    """Shows a progress bar of the questions to the model, or nothing if the output is not a terminal."""
    columns = (
        SpinnerColumn(),
        TextColumn(verb),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("review", total=None)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield update


def show(review: Review, console: Console, review_url: str | None = None) -> None:
    """Prints findings from the highest severity to the lowest, then what was and was not reviewed.

    All untrusted text passes `plain`, which removes escape sequences.
    """
    files = by_path(review.files)
    ordered = sorted(
        review.findings, key=lambda finding: (-finding.severity, finding.path, finding.anchor is None)
    )
    for finding in ordered:
        console.print(_finding(finding, files.get(finding.path)))
        console.print()
    if summary := _summary_text(review):
        console.print(Text(summary))
        console.print()
    console.print(_conclusion(review))
    if review_url is not None:
        console.print(Text(plain(f"The review: {review_url}")))


def _summary_text(review: Review) -> str:
    """Returns the model's summary of the change, without the diagram, which a terminal cannot draw."""
    lines = [review.summary] if review.summary else []
    walkthrough = review.walkthrough
    if walkthrough is not None:
        lines += [f"  {area.area}: {area.what} {area.why}".rstrip() for area in walkthrough.areas]
        if walkthrough.risk is not None:
            risk = walkthrough.risk
            lines.append(f"  Risk, as the model sees it: {risk.level}. {risk.why}".rstrip())
    return "\n".join(plain(line) for line in lines)


def _finding(finding: Finding, file: FileDiff | None) -> Group:
    head = Text.assemble(
        (f" {finding.severity.label} ", _STYLES[finding.severity]),
        " ",
        (plain(finding.title), "bold"),
    )
    place = Text(_place(finding), style="blue")
    if finding.check in UNVERIFIED:
        place.append(f" ({check_of(finding)})", style="dim")
    parts: list[RenderableType] = [head, Padding(place, (0, 0, 0, 2), expand=False)]
    if finding.anchor is not None and file is not None:
        parts.append(Padding(_code(finding, file), (0, 0, 0, 2), expand=False))
    parts.append(Padding(Text(plain(finding.body)), (0, 0, 0, 2), expand=False))
    if finding.suggestion is not None:
        parts.append(Padding(Text("Suggestion:", style="green"), (0, 0, 0, 2), expand=False))
        parts.append(Padding(Text(plain(finding.suggestion), style="green"), (0, 0, 0, 4), expand=False))
    return Group(*parts)


def _place(finding: Finding) -> str:
    anchor = finding.anchor
    if anchor is None:
        note = (
            f" (line {finding.reported_line} was named, and is not in the diff)"
            if finding.reported_line
            else ""
        )
        return plain(finding.path) + note
    first = f"{anchor.start_line}-" if anchor.start_line and anchor.start_line != anchor.line else ""
    old = " (removed)" if anchor.side is Side.LEFT else ""
    return f"{plain(anchor.path)}:{first}{anchor.line}{old}"


def _code(finding: Finding, file: FileDiff) -> Syntax | Text:
    anchor = finding.anchor
    assert anchor is not None, "the caller checks it"
    lines = file.lines_by_side[anchor.side]
    around = range(anchor.lines.start - _AROUND, anchor.line + _AROUND + 1)
    numbers = [number for number in around if number in lines][:_MOST_LINES]
    if not numbers or numbers != list(range(numbers[0], numbers[-1] + 1)):
        return Text("\n".join(_row(line) for line in anchor.code.split("\n")[:_MOST_LINES]))
    code = "\n".join(_row(lines[number].text) for number in numbers)
    return Syntax(
        code,
        Syntax.guess_lexer(file.path),
        line_numbers=True,
        start_line=numbers[0],
        highlight_lines=set(anchor.lines),
        word_wrap=True,
        background_color="default",
    )


def _row(text: str) -> str:
    return cut(plain(text).replace("\n", " "), _LINE_WIDTH)


def _conclusion(review: Review) -> Group:
    checked = tally(review)
    opinion = [Text(f"Second opinion: {checked}.")] if checked else []
    lines = [Text(_counts(review), style="bold"), *opinion, *_low_confidence(review.low_confidence)]
    lines.append(Text(_coverage(review.coverage)))
    left_out = [file for file in review.coverage.files if file.reason is not None]
    lines += [
        Text(f"  not reviewed: {plain(file.path)} ({file.reason})", style="dim") for file in left_out[:20]
    ]
    if len(left_out) > 20:
        lines.append(Text(f"  and {len(left_out) - 20} more", style="dim"))
    lines += [Text(plain(f"! {fault.message} {fault.hint}".rstrip()), style="red") for fault in review.faults]
    lines += [Text(plain(f"  {note}"), style="dim") for note in review.notes]
    usage = review.usage
    calls = "1 model call" if usage.model_calls == 1 else f"{usage.model_calls} model calls"
    cost = f"{calls}, {usage.input_tokens:,} tokens in, {usage.output_tokens:,} out"
    if usage.nano_credits:
        cost += f", {usage.credits:,.2f} AI credits"
    lines.append(Text(f"{cost}, {review.seconds:.1f} s.", style="dim"))
    if review.demo:
        lines.append(_DEMO)
    return Group(*lines)


def _low_confidence(entries: Sequence[SuppressedFinding]) -> list[Text]:
    """Returns the findings below `min-confidence`, one on a line."""
    if not entries:
        return []
    title = plain(low_confidence_title(entries).replace("`", ""))
    rows = [
        f"  {_place(entry.finding)}  {plain(entry.finding.title)} ({as_percent(entry.finding.confidence or 0.0)})"
        for entry in entries
    ]
    heading = f"{title}: {count(len(entries), 'finding')}."
    return [Text(heading), *(Text(row, style="dim") for row in rows)]


def _counts(review: Review) -> str:
    if not review.findings:
        return (
            "Nothing was found in what was reviewed."
            if review.coverage.reviewed_lines
            else "Nothing was reviewed."
        )
    return _count_findings(review.findings)


def _count_findings(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.severity for finding in findings)
    listed = ", ".join(f"{counts[level]} {level.label}" for level in reversed(Severity) if counts[level])
    return f"{count(len(findings), 'finding')}: {listed}."


def _coverage(coverage: Coverage) -> str:
    lines, files = coverage.changed_lines, sum(1 for file in coverage.files if file.reviewed_lines)
    noun = "file" if files == 1 else "files"
    return f"Reviewed {coverage.reviewed_lines} of {lines} changed lines ({coverage.percent} %) in {files} {noun}."


def show_audit(report: AuditReport, files: Sequence[FileDiff], console: Console) -> None:
    """Prints the open findings of an audit, the most severe first, then what was read and what was not."""
    by_file = by_path(files)
    for finding, entry in report.open:
        console.print(_finding(finding, by_file.get(finding.path)))
        since = "new" if entry.fingerprint in report.new else f"since {entry.first}"
        console.print(
            Padding(Text(f"{since} · {entry.fingerprint}", style="dim"), (0, 0, 0, 2), expand=False)
        )
        console.print()
    console.print(_audit_conclusion(report))


def _audit_conclusion(report: AuditReport) -> Group:
    findings = [finding for finding, _ in report.open]
    new = len(report.new_findings)
    summary = _count_findings(findings) if findings else "No open findings in the files that were read."
    lines = [Text(f"{summary} {new:,} new." if findings else summary, style="bold")]
    lines += _low_confidence(report.suppressed)
    closed = (("fixed", report.fixed), ("dismissed", report.dismissed), ("unconfirmed", report.unconfirmed))
    if counts := ", ".join(f"{len(entries):,} {word}" for word, entries in closed if entries):
        lines.append(Text(f"Closed: {counts}."))
    percent = report.files_read * 100 // report.files_total if report.files_total else 100
    left = f" About {count(report.runs_left, 'more audit')} at this budget." if report.runs_left else ""
    lines.append(
        Text(
            f"Lap {report.lap}, begun on {report.lap_began}: {report.files_read:,} of {report.files_total:,} files "
            f"read ({percent} %).{left}"
        )
    )
    lines += [
        Text(f"  {plain(folder.path) or '(no folder)'}: {folder.read:,} of {folder.total:,}", style="dim")
        for folder in report.folders[:_MOST_FOLDERS]
    ]
    lines += [
        Text(f"  not read: {count(number, 'file')} ({reason})", style="dim")
        for reason, number in (report.skipped or {}).items()
        if number
    ]
    lines += [Text(plain(f"! {sentence}"), style="red") for sentence in report.failed_shards]
    lines += [Text(plain(f"  {note}"), style="dim") for note in report.notes]
    spent = f"{report.week_calls:,} model calls this week, {report.total_calls:,} in all"
    lines.append(Text(f"{spent}.", style="dim"))
    if report.demo:
        lines.append(_DEMO)
    return Group(*lines)
