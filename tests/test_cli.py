"""Tests that unexpected exceptions are reported as bugs of hunkwise, without the values in a traceback."""

from __future__ import annotations

import pytest

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


@pytest.mark.parametrize(("arguments", "code"), [([], 2), (["nothing"], 2), (["--version"], 0)])
def test_what_is_no_command_is_refused(
    arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == code
    assert "hunkwise" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("system", "refused"),
    [("linux", False), ("darwin", False), ("win32", True), ("cygwin", True), ("freebsd14", True)],
)
def test_unsupported_system_is_refused_with_the_ways_to_run_there(system: str, refused: bool) -> None:
    reason = unsupported_system(system)
    assert bool(reason) == refused
    assert ("WSL or the container image" in reason) == refused
