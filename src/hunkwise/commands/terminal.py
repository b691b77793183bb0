"""Prints reviews and audits for people: with colours and in its width on a terminal, as plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.padding import Padding
from rich.syntax import Syntax
from rich.text import Text

from hunkwise.domain.diff import FileDiff, Side, by_path
from hunkwise.domain.finding import UNVERIFIED, Finding, Severity
from hunkwise.domain.review import Coverage, FileCoverage, Review, SuppressedFinding
from hunkwise.domain.text import as_percent, count, cut, plain
from hunkwise.publish.audit_issue import AuditReport
from hunkwise.publish.conclusion import count_by_severity, describe_result
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
_DEMO = Text(
    "This is the demo: fixed rules, not a model. Set COPILOT_GITHUB_TOKEN to use a real model.",
    style="magenta",
)
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


@dataclass(frozen=True)
class _Excerpt:
    """Lines of code with their numbers, those of a finding marked."""

    path: str
    first: int
    rows: tuple[str, ...]
    marked: range

    @property
    def highlighted(self) -> Syntax:
        return Syntax(
            "\n".join(self.rows),
            Syntax.guess_lexer(self.path),
            line_numbers=True,
            start_line=self.first,
            highlight_lines=set(self.marked),
            word_wrap=True,
            background_color="default",
        )

    @property
    def plain(self) -> str:
        width = len(str(self.first + len(self.rows) - 1))
        return "\n".join(
            f"{'❱' if number in self.marked else ' '} {number:>{width}} {row}"
            for number, row in enumerate(self.rows, self.first)
        )


@dataclass(frozen=True)
class _Block:
    """Text or code, and the number of columns by which it is indented."""

    content: Text | _Excerpt
    indent: int = 0


def _print(console: Console, blocks: Iterable[_Block]) -> None:
    """Prints the blocks; where that is no terminal, lines are as long as they are and have no spaces at their ends."""
    for block in blocks:
        content = block.content
        if not console.is_terminal:
            for line in content.plain.split("\n"):
                console.file.write(f"{' ' * block.indent}{line}".rstrip() + "\n")
            continue
        shown = content if isinstance(content, Text) else content.highlighted
        console.print(Padding(shown, (0, 0, 0, block.indent), expand=False) if block.indent else shown)


_SPACE = _Block(Text())


def show(review: Review, console: Console, review_url: str | None = None) -> None:
    """Prints findings from the highest severity to the lowest, then what was and was not reviewed.

    All untrusted text passes `plain`, which removes escape sequences.
    """
    _print(console, _review_blocks(review, review_url))


def _review_blocks(review: Review, review_url: str | None) -> Iterator[_Block]:
    files = by_path(review.files)
    ordered = sorted(
        review.findings, key=lambda finding: (-finding.severity, finding.path, finding.anchor is None)
    )
    for finding in ordered:
        yield from _finding(finding, files.get(finding.path))
        yield _SPACE
    if summary := _summary_text(review):
        yield _Block(Text(summary))
        yield _SPACE
    yield from _conclusion(review)
    if review_url is not None:
        yield _Block(Text(plain(f"View the review: {review_url}")))


def _summary_text(review: Review) -> str:
    """Returns the model's summary of the change, without the diagram, which a terminal cannot draw."""
    lines = [review.summary] if review.summary else []
    walkthrough = review.walkthrough
    if walkthrough is not None:
        lines += [f"  {area.area}: {area.what} {area.why}".rstrip() for area in walkthrough.areas]
        if walkthrough.risk is not None:
            risk = walkthrough.risk
            lines.append(f"  Risk: {risk.level} (AI estimate). {risk.why}".rstrip())
    return "\n".join(plain(line) for line in lines)


def _finding(finding: Finding, file: FileDiff | None) -> Iterator[_Block]:
    head = Text.assemble(
        (f" {finding.severity.label} ", _STYLES[finding.severity]),
        " ",
        (plain(finding.title), "bold"),
    )
    place = Text(_place(finding), style="blue")
    if finding.check in UNVERIFIED:
        place.append(f" ({check_of(finding)})", style="dim")
    yield _Block(head)
    yield _Block(place, 2)
    if finding.anchor is not None and file is not None:
        yield _Block(_code(finding, file), 2)
    yield _Block(Text(plain(finding.body)), 2)
    if finding.suggestion is not None:
        yield _Block(Text("Suggestion:", style="green"), 2)
        yield _Block(Text(plain(finding.suggestion), style="green"), 4)


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


def _code(finding: Finding, file: FileDiff) -> _Excerpt | Text:
    anchor = finding.anchor
    assert anchor is not None, "the caller checks it"
    lines = file.lines_by_side[anchor.side]
    around = range(anchor.lines.start - _AROUND, anchor.line + _AROUND + 1)
    numbers = [number for number in around if number in lines][:_MOST_LINES]
    if not numbers or numbers != list(range(numbers[0], numbers[-1] + 1)):
        return Text("\n".join(_row(line) for line in anchor.code.split("\n")[:_MOST_LINES]))
    rows = tuple(_row(lines[number].text) for number in numbers)
    return _Excerpt(file.path, numbers[0], rows, anchor.lines)


def _row(text: str) -> str:
    return cut(plain(text).replace("\n", " "), _LINE_WIDTH)


def _conclusion(review: Review) -> Iterator[_Block]:
    checked = tally(review)
    opinion = [Text(f"Double-checked: {checked}.")] if checked else []
    lines = [Text(describe_result(review), style="bold"), *opinion, *_low_confidence(review.low_confidence)]
    lines.append(Text(_coverage(review.coverage)))
    left_out = [file for file in review.coverage.files if file.reason is not None]
    lines += [Text(_left_out(file), style="dim") for file in left_out[:20]]
    if len(left_out) > 20:
        lines.append(Text(f"  and {len(left_out) - 20} more", style="dim"))
    lines += [Text(plain(f"! {fault.message} {fault.hint}".rstrip()), style="red") for fault in review.faults]
    lines += [Text(plain(f"  {note}"), style="dim") for note in review.notes]
    usage = review.usage
    cost = f"{count(usage.model_calls, 'model call')}, {usage.input_tokens:,} tokens in, {usage.output_tokens:,} out"
    if usage.nano_credits:
        cost += f", {usage.credits:,.2f} AI credits"
    lines.append(Text(f"{cost}, {review.seconds:.1f} s.", style="dim"))
    if review.demo:
        lines.append(_DEMO)
    yield from map(_Block, lines)


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


def _left_out(file: FileCoverage) -> str:
    word = "skipped" if file.reason is not None and file.reason.deliberate else "not fully reviewed"
    return f"  {word}: {plain(file.path)} ({file.reason})"


def _coverage(coverage: Coverage) -> str:
    lines = count(coverage.changed_lines, "changed line")
    files = count(sum(1 for file in coverage.files if file.reviewed_lines), "file")
    return f"Reviewed {coverage.reviewed_lines:,} of {lines} ({coverage.percent} %) in {files}."


def show_audit(report: AuditReport, files: Sequence[FileDiff], console: Console) -> None:
    """Prints the open findings of an audit, the most severe first, then what was read and what was not."""
    _print(console, _audit_blocks(report, by_path(files)))


def _audit_blocks(report: AuditReport, files: Mapping[str, FileDiff]) -> Iterator[_Block]:
    for finding, entry in report.open:
        yield from _finding(finding, files.get(finding.path))
        since = "new" if entry.fingerprint in report.new else f"since {entry.first}"
        yield _Block(Text(f"{since} · {entry.fingerprint}", style="dim"), 2)
        yield _SPACE
    yield from _audit_conclusion(report)


def _audit_conclusion(report: AuditReport) -> Iterator[_Block]:
    findings = [finding for finding, _ in report.open]
    new = len(report.new_findings)
    summary = "No open findings in the files that were read."
    if findings:
        summary = f"{count(len(findings), 'finding')}: {count_by_severity(findings)}. {new:,} new."
    lines = [Text(summary, style="bold")]
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
    yield from map(_Block, lines)
