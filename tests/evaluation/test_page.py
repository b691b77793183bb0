"""docs/evaluating.md agrees with the code."""

from __future__ import annotations

import json

from hunkwise.evaluation.golden import Golden, GoldenFinding, parse_golden
from hunkwise.evaluation.question import CommentText, ExpectedAnswer, ThreadText, parse_question
from hunkwise.evaluation.report import measures_json
from hunkwise.evaluation.scoring import Counts
from tests.pages import code_blocks, code_spans, page, table

PAGE = page("docs/evaluating.md")


def test_example_has_every_key_of_a_golden() -> None:
    text, _ = code_blocks(PAGE, "json")
    golden, faults = parse_golden(text.encode(), "page")
    assert golden is not None
    assert faults == []
    example = json.loads(text)
    assert example.keys() == Golden.model_fields.keys()
    assert example["findings"][0].keys() == GoldenFinding.model_fields.keys()


def test_every_key_of_a_golden_is_documented() -> None:
    documented = [key for row in table(PAGE, "Key") for key in code_spans(row[0])]
    assert documented == [*Golden.model_fields, *GoldenFinding.model_fields]


def test_example_has_every_key_of_a_question() -> None:
    _, text = code_blocks(PAGE, "json")
    expected, faults = parse_question(text.encode(), "page")
    assert expected is not None
    assert faults == []
    example = json.loads(text)
    assert example.keys() == ExpectedAnswer.model_fields.keys()
    assert example["thread"].keys() == ThreadText.model_fields.keys()


def test_every_key_of_a_question_is_documented() -> None:
    documented = [key for row in table(PAGE, "Key of a question") for key in code_spans(row[0])]
    assert documented == [*ExpectedAnswer.model_fields, *ThreadText.model_fields, *CommentText.model_fields]


def test_every_measure_is_documented() -> None:
    documented = [key for row in table(PAGE, "Measure") for key in code_spans(row[0])]
    counts = set(Counts.__dataclass_fields__)
    assert documented == [name for name in measures_json(Counts()) if name not in counts]
