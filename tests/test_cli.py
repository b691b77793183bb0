"""The last to catch: what nobody foresaw is told as a fault of our own, without a traceback's values."""

from __future__ import annotations

import pytest

from hunkwise.cli import main, unforeseen


def test_an_unforeseen_error_says_where_and_what(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise KeyError("nothing\x1b[2J")
    except KeyError as error:
        told = unforeseen(error)
    printed = capsys.readouterr().err
    assert "test_cli.py:" in printed
    assert "in test_an_unforeseen_error_says_where_and_what" in printed
    assert str(told).startswith("KeyError: ")
    assert "please report it" in str(told)


@pytest.mark.parametrize(("arguments", "code"), [([], 2), (["nothing"], 2), (["--version"], 0)])
def test_what_is_no_command_is_refused(
    arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == code
    assert "hunkwise" in "".join(capsys.readouterr())
