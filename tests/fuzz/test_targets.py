"""The seeds of each fuzz target pass."""

from __future__ import annotations

import pytest
from fuzz.__main__ import main
from fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_of_a_target_pass(name: str) -> None:
    target = TARGETS[name]
    assert target.seeds
    for raw in (b"", b"\n", bytes(range(256)), *target.seeds):
        target.run(raw[: target.longest])


@pytest.mark.parametrize("arguments", [[], ["soon"], ["0"], ["-1"], ["5", "nothing"]])
def test_invalid_arguments_of_the_fuzzer_print_its_targets(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "SECONDS [NAME ...], of diff, records" in capsys.readouterr().err
