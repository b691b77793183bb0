"""Each target of the fuzzer holds on the inputs that it begins with, so that what it finds is new."""

from __future__ import annotations

import pytest
from fuzz.__main__ import main
from fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_the_first_inputs_of_a_target_pass(name: str) -> None:
    target = TARGETS[name]
    assert target.seeds
    for raw in (b"", b"\n", bytes(range(256)), *target.seeds):
        target.run(raw[: target.longest])


@pytest.mark.parametrize("arguments", [[], ["soon"], ["0"], ["-1"], ["5", "nothing"]])
def test_the_fuzzer_names_its_targets_where_its_arguments_make_no_sense(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "SECONDS [NAME ...], of diff, records" in capsys.readouterr().err
