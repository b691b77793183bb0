"""Every template is rendered over examples, so that its errors are found before a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from hunkwise.domain.model import ANSWER_PROMPTS, STAGE_PROMPTS
from hunkwise.flows.base_config import BaseConfig, built_in_fronts, read_base_texts
from hunkwise.flows.template_check import RunKind, TemplateFaults, check_templates, examples, variables
from hunkwise.prompts.renderer import BUILT_IN, Renderer
from hunkwise.settings.config import Config
from hunkwise.settings.prompt_settings import PromptSettings
from tests.fakes.changes import FakeCommit
from tests.pages import code_spans, page, table

PATH = ".github/hunkwise.yml"
HINT = "Fix the template, or take it out of the configuration."
BARE = " It fails for a pull request without description, labels, linked issues, threads and instructions."


def read(templates: Mapping[str, str], more: str = "") -> BaseConfig:
    """Returns a configuration in which each template is that of the prompt or partial of its name."""
    prompts = "".join(f"  - {{name: {name}, template: {name}.j2}}\n" for name in templates if "/" not in name)
    partials = "".join(
        f"  {name.removeprefix('partials/')}: {name}.j2\n" for name in templates if "/" in name
    )
    config = "version: 1\n" + (f"prompts:\n{prompts}" if prompts else "")
    config += (f"partials:\n{partials}" if partials else "") + more
    files = {f"{name}.j2": text.encode() for name, text in templates.items()}
    return read_base_texts(FakeCommit({PATH: config.encode(), **files}), PATH, lambda read: read)


def checked(templates: Mapping[str, str], *kinds: RunKind) -> TemplateFaults:
    return check_templates(read(templates), kinds or (RunKind.PULL_REQUEST, RunKind.RANGE))


def test_misspelt_names_are_found_in_every_prompt_and_partial() -> None:
    faults = checked(
        {
            "mine": "x\n{{ pullrequest }}",
            "verify": "{% for each in earlier %}{{ each.old_cod }}{% endfor %}",
            "summary": "{{ unreviewed[0].reasn if unreviewed }}",
            "answer": "{% if not thread and summary %}{{ summary.overvew }}{% endif %}",
            "explain": "{% if thread.outdated %}{{ thread.pth }}{% endif %}",
            "partials/tools": "{{ prompt.toolz }}",
        }
    )
    assert faults.errors == tuple(
        f'{text} (in the prompt "{name}"). {HINT}'
        for text, name in (
            ("mine.j2:2: 'pullrequest' is undefined; did you mean \"pull_request\"?", "mine"),
            ("verify.j2:1: 'dict object' has no attribute 'old_cod'; did you mean \"old_code\"?", "verify"),
            ("summary.j2:1: 'dict object' has no attribute 'reasn'; did you mean \"reason\"?", "summary"),
            ("answer.j2:1: 'dict object' has no attribute 'overvew'; did you mean \"overview\"?", "answer"),
            ("explain.j2:1: 'dict object' has no attribute 'pth'; did you mean \"path\"?", "explain"),
            (
                "partials/tools.j2:1: 'dict object' has no attribute 'toolz'; did you mean \"tools\"?",
                "review",
            ),
        )
    )


@pytest.mark.parametrize(
    ("source", "kind", "case"),
    [
        ("{{ pull_request.labels[0] | upper }}", RunKind.PULL_REQUEST, BARE),
        ("{% if not pull_request.body %}{{ x }}{% endif %}", RunKind.PULL_REQUEST, BARE),
        (
            "{{ pull_request.title }}",
            RunKind.RANGE,
            " It fails for a range of commits, which has no pull request.",
        ),
        ("{{ pull_request.title }}", RunKind.AUDIT, " It fails for an audit, which has no pull request."),
    ],
)
def test_template_that_needs_an_optional_part_is_found_with_the_case(
    source: str, kind: RunKind, case: str
) -> None:
    (error,) = checked({"mine": source}, kind).errors
    assert error.startswith("mine.j2:1: ")
    assert error.endswith(f'(in the prompt "mine"). {HINT}{case}')


def test_block_without_effect_is_found() -> None:
    faults = checked({"mine": '{% extends "hunkwise/base" %}{% block lookfor %}{% endblock %}'})
    assert faults == TemplateFaults(
        unused=(
            'mine.j2:1: the block "lookfor" is not used, because "hunkwise/base" has no such block; did you mean'
            f' "look_for"? (in the prompt "mine"). {HINT}',
        )
    )


def test_template_that_uses_everything_as_documented_has_no_fault() -> None:
    config = "paths: [nothing/**]\nignore: ['**']\ncontext: {threads: false, description: false, enclosing: false}\n"
    source = "{{ pull_request.title if pull_request }}{{ chunk.diff }}{{ files | length }}{{ prompt.name }}"
    texts = read({"mine": source, "partials/part": '{% include "hunkwise/partials/part" %}'}, config)
    assert check_templates(texts, tuple(RunKind)) == TemplateFaults()


def contexts(name: str) -> Iterator[dict[str, Any]]:
    prompt = PromptSettings(name=name).under(built_in_fronts()[name])
    for example in examples():
        yield from variables(prompt, Config(), example)


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_prompts_render_over_all_examples(name: str) -> None:
    renderer = Renderer({})
    texts = [renderer.render(name, context) for context in contexts(name)]
    assert len(texts) >= (2 if name in STAGE_PROMPTS else 5)


def keys(value: object) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(keys, value))
    return set(value).union(*map(keys, value.values())) if isinstance(value, dict) else set()


@pytest.mark.parametrize("name", [name for name in BUILT_IN if name != "explain"])
def test_examples_have_every_documented_variable(name: str) -> None:
    templates = page("docs/templates.md")
    own = {other: row for row in table(templates, "Template") for other in code_spans(row[0])}
    found = set().union(*map(keys, contexts(name)))
    missing = set(code_spans(own[name][1])) - found if name in own else set()
    if name not in STAGE_PROMPTS:
        wanted = {span for row in table(templates, "Name") for span in code_spans(" ".join(row[:2]))}
        missing = {span for span in wanted if span.isidentifier()} - found - {"none"}
    assert missing == set()
    assert name in ANSWER_PROMPTS or "threads" in found
