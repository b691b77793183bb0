"""Compares docs/command-line.md with the parser: `python -m tests.test_command_line_doc` writes the commands again."""

from __future__ import annotations

import argparse
import re

from hunkwise.argument_parser import EXAMPLES, SHELLS, CommandParser, subcommands
from hunkwise.arguments import build_parser
from hunkwise.commands import finding_stream
from hunkwise.commands.progress import INTERVAL
from hunkwise.domain.review import ExitCode, Suppression
from hunkwise.publish.report import ReportedFinding
from tests.pages import ROOT, code_spans, page, table

NAME = "docs/command-line.md"
PAGE = page(NAME)
_PART = re.compile(r"(<!-- Written by .* -->\n).*(<!-- End of the commands. -->\n)", re.DOTALL)


def _values(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.choices is not None:
        return ", ".join(f"`{choice}`" for choice in action.choices)
    return f"`{action.metavar}`"


def _row(action: argparse.Action) -> str:
    names = ", ".join(f"`{name}`" for name in action.option_strings) or f"`{action.metavar}`"
    values = _values(action) if action.option_strings or action.choices else ""
    needed = " Required." if action.required and action.option_strings else ""
    meaning = (action.help or "").replace("|", "\\|")
    return f"| {names} | {values} | {meaning[:1].upper()}{meaning[1:]}.{needed} |"


def _section(name: str, parser: CommandParser) -> str:
    """Returns the section of one command: what it is for, its options, its examples."""
    actions = [
        action
        for action in parser._actions
        if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
    ]
    head = ["| Option | Values | Meaning |", "|---|---|---|"] if actions else []
    blocks = (
        f"{'#' * (3 + name.count(' '))} hunkwise {name}",
        parser.description or "",
        "\n".join([*head, *map(_row, actions)]),
        "\n".join(["```sh", *EXAMPLES[name], "```"]),
    )
    return "\n\n".join(block for block in blocks if block)


def written() -> str:
    """Returns the page with its commands as they are."""
    sections = [_section(name, parser) for name, parser in subcommands(build_parser()) if name]
    between = "\n\n".join(sections)
    return _PART.sub(lambda found: f"{found[1]}\n{between}\n\n{found[2]}", PAGE)


def test_commands_are_those_of_the_parser() -> None:
    assert written() == PAGE, "run `python -m tests.test_command_line_doc`"


def test_formats_are_those_of_a_review() -> None:
    parsers = dict(subcommands(build_parser()))
    choices = next(action.choices for action in parsers["review"]._actions if action.dest == "format")
    assert choices is not None
    formats = [code_spans(row[0])[0] for row in table(PAGE, "`--format`")]
    assert sorted(formats) == sorted(choices)


def test_events_have_the_keys_of_the_page() -> None:
    rows = {code_spans(row[0])[0]: code_spans(row[2]) for row in table(PAGE, "`event`")}
    assert rows["finding"][1:] == list(ReportedFinding.model_fields)
    outcomes = {finding_stream.KEPT, finding_stream.DROPPED, *Suppression}
    assert outcomes <= set(code_spans(PAGE.split("`outcome` is")[1].split("\n\n")[0]))


def test_exit_codes_and_shells_are_those_of_the_code() -> None:
    assert [row[0] for row in table(PAGE, "Code")] == [str(code.value) for code in ExitCode]
    assert tuple(row[0].partition(",")[0] for row in table(PAGE, "Shell")) == SHELLS
    assert INTERVAL == 5
    assert "at most every five seconds" in PAGE


if __name__ == "__main__":
    (ROOT / NAME).write_text(written(), encoding="utf-8")
