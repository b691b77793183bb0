"""Tests the surface of the command line: help, misspelt words, completion, and unexpected exceptions."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hunkwise import __version__
from hunkwise.argument_parser import EXAMPLES, SHELLS, subcommands
from hunkwise.arguments import build_parser
from hunkwise.cli import main, unexpected_error, unsupported_system


def test_an_unforeseen_error_says_where_and_what(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise KeyError("nothing\x1b[2J")
    except KeyError as error:
        reported = unexpected_error(error)
    printed = capsys.readouterr().err
    assert "test_cli.py:" in printed
    assert "in test_an_unforeseen_error_says_where_and_what" in printed
    assert str(reported).startswith("KeyError: ")
    assert "please report it" in str(reported)


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        ([], "Examples:\n  hunkwise review "),
        (["--version"], f"hunkwise {__version__}\n"),
        (["-V"], f"hunkwise {__version__}\n"),
        *(([*name.split(), "--help"], f"Examples:\n  {EXAMPLES[name][0]}\n") for name in EXAMPLES),
    ],
)
def test_help_and_version_are_no_errors(
    arguments: list[str], printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code: object
    try:
        code = main(arguments)
    except SystemExit as ended:
        code = ended.code
    assert code == 0
    assert printed in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("nothing", "invalid choice: 'nothing'"),
        ("reveiw", 'did you mean "review"?'),
        ("prompts lits", 'did you mean "list"?'),
        ("audit mrege", 'did you mean "merge"?'),
        ("review --format jsno", 'did you mean "json"?'),
        ("review --modle gpt-5", 'unrecognized arguments: --modle gpt-5; did you mean "--model"?'),
        ("review --fromat=json", 'did you mean "--format"?'),
        ("audit run --plan x --shard 1 --out y --modell z", 'did you mean "--model"?'),
        ("eval cases --qiuet", 'did you mean "--quiet"?'),
        ("review here", "hunkwise review: error: unrecognized arguments: here\n"),
        ("review --xyzzy", "unrecognized arguments: --xyzzy\n"),
    ],
)
def test_misspelt_word_is_an_error_that_names_the_nearest_one(
    arguments: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments.split())
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_every_command_has_two_to_four_examples_that_it_accepts() -> None:
    parser = build_parser()
    assert {name for name, _ in subcommands(parser)} == EXAMPLES.keys()
    for name, lines in EXAMPLES.items():
        assert 2 <= len(lines) <= 4, name
        for line in lines:
            words = shlex.split(line.partition(" > ")[0], comments=True)
            values = vars(parser.parse_args(words[words.index("hunkwise") + 1 :]))
            assert f"{values['command']} {values.get('part') or ''}".strip().startswith(name or "")


_COMPLETE = """
source "$1"
COMP_WORDS=(hunkwise "${@:2}") COMP_CWORD=$(($# - 1))
$(complete -p hunkwise | sed 's/.*-F \\([^ ]*\\).*/\\1/')
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["re"], "review"),
        (["audit", "me"], "merge"),
        (["review", "--form"], "--format"),
        (["review", "--format", "quick"], "quickfix"),
        (["eval", "--against", "bef"], "before.json"),
        (["review", "--repository", "fold"], "folder"),
    ],
)
def test_bash_completes_words_options_values_and_paths(
    words: list[str], completed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", "bash"]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out)
    (tmp_path / "before.json").touch()
    (tmp_path / "folder").mkdir()
    command = ["bash", "--norc", "-c", _COMPLETE, "bash", "./script", *words]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout == f"{completed}\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_script_for_each_shell_has_the_commands(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "quickfix" in script
    assert "doctor" in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_other_commands_start_without_the_package_for_completion() -> None:
    script = "import sys; from hunkwise.cli import main; main([]); sys.exit('shtab' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": "src"}, capture_output=True, check=True)


@pytest.mark.parametrize(
    ("system", "refused"),
    [("linux", False), ("darwin", False), ("win32", True), ("cygwin", True), ("freebsd14", True)],
)
def test_unsupported_system_is_refused_with_the_ways_to_run_there(system: str, refused: bool) -> None:
    reason = unsupported_system(system)
    assert bool(reason) == refused
    assert ("WSL or the container image" in reason) == refused
