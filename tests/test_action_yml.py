"""action.yml says what the code reads, and defaults that the code has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hunkwise.settings.inputs import KNOWN_INPUTS, read_inputs
from hunkwise.settings.parsing import DEFAULT_CONFIG_PATH

ACTION: dict[str, Any] = yaml.safe_load((Path(__file__).parents[1] / "action.yml").read_text())
INPUTS: dict[str, dict[str, str]] = ACTION["inputs"]


def test_the_action_runs_the_images_entry_point() -> None:
    assert ACTION["runs"] == {"using": "docker", "image": "Dockerfile"}


def test_its_inputs_are_those_that_are_read() -> None:
    assert sorted(INPUTS) == sorted(KNOWN_INPUTS)


def test_its_outputs_are_those_of_the_contract() -> None:
    assert " ".join(ACTION["outputs"]) == (
        "conclusion findings highest-severity coverage review-url placement report sarif model-calls input-tokens"
        " output-tokens ai-credits"
    )


@pytest.mark.parametrize("name", [*INPUTS, *ACTION["outputs"]])
def test_everything_is_described_in_sentences(name: str) -> None:
    description = (INPUTS.get(name) or ACTION["outputs"][name])["description"]
    assert description.endswith(".")
    assert "\n" not in description


def test_only_inputs_that_no_file_may_set_have_a_default() -> None:
    assert {name: said["default"] for name, said in INPUTS.items() if "default" in said} == {
        "github-token": "${{ github.token }}",
        "config": DEFAULT_CONFIG_PATH,
    }


def test_the_defaults_as_the_runner_sets_them_are_valid() -> None:
    variables = {f"INPUT_{name.upper()}": said.get("default", "") for name, said in INPUTS.items()}
    inputs = read_inputs(variables | {"INPUT_GITHUB-TOKEN": "ghs_token"})
    assert inputs.texts == {}
    assert inputs.warnings == ()
