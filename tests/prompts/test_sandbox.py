"""The template sandbox: allowed operations, and errors for others."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.domain.text import named
from hunkwise.prompts.sandbox import (
    MAX_PROMPT,
    RENDER_ERRORS,
    TemplateFault,
    compile_fault,
    quoted,
    render,
    render_fault,
    sandbox,
    unused_blocks,
)

VALUES: dict[str, Any] = {"title": "A title", "files": [{"path": "a.py"}, {"path": "b.py"}]}


OTHERS = {
    "other": "one\n{{ nothing }}",
    "broken": "\n{% if true %}",
    "b": "{% extends 'c' %}",
    "c": "{% include 'b' %}",
    "bad": "{{ 1 | wrong }}",
}


def fault_of(source: str, **others: str) -> str:
    """Returns the error of compiling or rendering the template."""
    sources = {"mine": source, **others}
    environment = sandbox(sources)
    fault = compile_fault(environment, sources, "mine")
    if fault is not None:
        return fault_text(fault)
    with pytest.raises(RENDER_ERRORS) as caught:
        render(environment, "mine", VALUES)
    return fault_text(render_fault(caught.value, "mine"))


def fault_text(fault: TemplateFault) -> str:
    return f"{fault.template}:{fault.line}: {fault.message}"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ title | upper }}", "A TITLE\n"),
        ("{% for file in files %}{{ file.path }} {% endfor %}", "a.py b.py\n"),
        (
            "{% set n = namespace(c=0) %}{% for f in files %}{% set n.c = n.c + 1 %}{% endfor %}{{ n.c }}",
            "2\n",
        ),
        ("{{ files | map(attribute='path') | join(', ') }}", "a.py, b.py\n"),
        ("{{ 2 * 3 }} {{ 7 % 4 }} {{ title.split()[0] }}", "6 3 A\n"),
        ("{% include 'other' %}", "the other\n"),
        ("  \n", "\n"),
    ],
)
def test_supported_operations_are_rendered(source: str, text: str) -> None:
    assert render(sandbox({"mine": source, "other": "the other"}), "mine", VALUES) == text


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("one\n{{ titel }}", "mine:2: 'titel' is undefined; did you mean \"title\"?"),
        ("{{ rnage(3) }}", "'rnage' is undefined; did you mean \"range\"?"),
        ("{{ files[0].pth }}", "has no attribute 'pth'; did you mean \"path\"?"),
        ("{{ files[0]['paths'] }}", "has no attribute 'paths'; did you mean \"path\"?"),
        ("{{ title | qouted }}", "No filter named 'qouted'; did you mean \"quoted\"?"),
        ("{% if 1 %}" * 120 + "{% endif %}" * 120, "it is nested too deeply"),
        ("{{ title.nothing }}", "has no attribute 'nothing'"),
        ("{% if %}", "mine:1: Expected an expression"),
        ("{{ title | nofilter }}", "No filter named 'nofilter'"),
        ("{{ title | attr('upper') }}", "No filter named 'attr'"),
        ("{{ title | indent(1000000000) }}", "No filter named 'indent'"),
        ("{{ title | center(1000000000) }}", "No filter named 'center'"),
        ("{{ '%s' | format(title) }}", "No filter named 'format'"),
        ("{{ title.__class__ }}", "access to attribute '__class__' of 'str' object is unsafe"),
        ("{{ ''.join.__self__ }}", "unsafe"),
        ("{{ '{0.__class__}'.format(title) }}", "unsafe"),
        ("{{ title.center(1000000000) }}", "unsafe"),
        ("{{ title.replace('', title) }}", "unsafe"),
        ("{{ 'a' * 10**9 }}", "`*` works on small numbers only"),
        ("{{ 10 ** 10 ** 9 }}", "`**` works on small numbers only"),
        ("{{ '%1000000000d' % 1 }}", "`%` works on numbers only"),
        ("{{ files.append(1) }}", "unsafe"),
        ("{{ range(1000000000) | list }}", "Range too big"),
        ("{% include '../secrets' %}", 'there is no template "../secrets"'),
        ("{% extends '/etc/passwd' %}", 'there is no template "/etc/passwd"'),
        ("{% include ['u', 'v'] %}", 'mine:1: there is no template "u"'),
        ("x\n{% include 'othre' %}", 'mine:2: there is no template "othre"; did you mean "other"?'),
        ("{% include files[0].path %}", 'mine:1: there is no template "a.py"'),
        ("{% include 'm' ~ 'ine' %}", "calls itself without end"),
        (
            "\n{% include 'mine' %}",
            'mine:2: it leads back to itself: "mine" → "mine"; the built-in templates are called "hunkwise/mine"',
        ),
        ("{% include 'bro' ~ 'ken' %}", "broken:2: Unexpected end of template"),
        ("{% include 'broken' %}", "broken:2: Unexpected end of template"),
        ("{% include 'b' %}", 'c:1: it leads back to itself: "b" → "c" → "b"; the built-in'),
        ("{% from 'bad' import x %}", "bad:1: No filter named 'wrong'"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "calls itself without end"),
        ("{% include 'other' %}", "other:2: 'nothing' is undefined"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ title + 1 }}", "can only concatenate"),
        ("{{ self.nothing() }}", "nothing"),
        ("{{ lipsum() }}", "'lipsum' is undefined"),
        ("{{ cycler.__init__.__globals__ }}", "'UndefinedName' object is unsafe"),
        ("{% for a in range(9999) %}{% for b in range(99) %}x{% endfor %}{% endfor %}", "400,000 characters"),
    ],
)
def test_forbidden_operation_is_reported_with_line(source: str, message: str) -> None:
    assert message in fault_of(source, **OTHERS)


@pytest.mark.parametrize(
    "source",
    [
        "{% include 'absent' ignore missing %}",
        "{% include ['absent', 'plain'] %}",
        "{% import 'plain' as p %}{% include 'plain' %}{% include 'plain' %}",
    ],
)
def test_optional_template_may_be_missing(source: str) -> None:
    sources = {"mine": source, "plain": "plain"}
    assert compile_fault(sandbox(sources), sources, "mine") is None


def test_prompt_without_template_is_a_fault() -> None:
    fault = compile_fault(sandbox({}), {"review": ""}, "revew")
    assert fault == TemplateFault("revew", None, 'there is no template "revew"; did you mean "review"?')


def test_long_cycle_is_reported_shortened() -> None:
    sources = {f"t{n}": f"{{% include 't{(n + 1) % 20}' %}}" for n in range(20)}
    fault = compile_fault(sandbox(sources), sources, "t0")
    assert fault is not None
    assert (fault.template, fault.line) == ("t19", 1)
    assert '"t0" → "t1" → "t2" → "t3" → "t4" → "t0"' in fault.message


def test_cycle_of_built_in_templates_has_no_suggestion() -> None:
    sources = {"hunkwise/a": "{% include 'hunkwise/a' %}"}
    fault = compile_fault(sandbox(sources), sources, "hunkwise/a")
    assert fault == TemplateFault("hunkwise/a", 1, 'it leads back to itself: "hunkwise/a" → "hunkwise/a"')


def test_endless_chain_of_templates_is_a_fault() -> None:
    sources = {f"t{n}": f"{{% include 't{n + 1}' %}}" for n in range(2_000)}
    fault = compile_fault(sandbox(sources), sources, "t0")
    assert fault is not None
    assert "without end" in fault.message


def test_deeply_nested_brackets_are_a_fault() -> None:
    assert fault_of("{{ " + "(" * 5_000 + ")" * 5_000 + " }}")


def test_prompt_of_maximum_length_is_rendered() -> None:
    source = "{% for _ in range(4) %}{{ text }}{% endfor %}"
    text = render(sandbox({"mine": source}), "mine", {"text": "x" * (MAX_PROMPT // 4)})
    assert len(text) == MAX_PROMPT + 1


@given(st.text(alphabet=st.characters(), max_size=200))
def test_quoted_text_cannot_imitate_other_lines(text: str) -> None:
    assert all(line.startswith(">") for line in quoted(text).splitlines())
    assert len(quoted(text).splitlines()) >= 1


def test_long_quotation_has_a_cut_note() -> None:
    assert quoted("abcdef", 4) == "> abcd\n> (cut here: 2 more characters)"


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=100))
def test_name_is_one_visible_line_of_json(name: str) -> None:
    text = named(name)
    assert text.splitlines() == [text]
    assert text.encode()
    assert json.loads(text) == name


def test_long_name_is_cut() -> None:
    assert named("abcdef", 3) == '"abc…"'


PARENTS = {
    "top": "{% block a %}{% block inner %}{% endblock %}{% endblock %}{% block look_for %}{% endblock %}",
    "middle": "{% extends 'top' %}{% block a %}{% block added %}{% endblock %}{% endblock %}",
    "odd": "{% extends 'top' %}\n{% block lost %}{% endblock %}",
    "computed": "{% extends name %}{% block x %}{% endblock %}",
}


@pytest.mark.parametrize(
    ("source", "unused"),
    [
        ("{% extends 'top' %}{% block a %}{% endblock %}{% block inner %}{% endblock %}", []),
        ("{% block any %}{% endblock %}", []),
        ("{% extends 'middle' %}{% block added %}{% endblock %}{% block inner %}{% endblock %}", []),
        ("{% extends 'top' %}{% block a %}{% block mine %}{% endblock %}{% endblock %}", []),
        ("{% extends 'top' %}{% block own %}x{% endblock %}{% block a %}{{ self.own() }}{% endblock %}", []),
        ("{% extends 'computed' %}{% block own %}{% endblock %}", []),
        ("{% extends 'top' if x else 'middle' %}{% block own %}{% endblock %}", []),
        (
            "{% extends 'top' %}\n{% block lookfor %}{% block within %}{% endblock %}{% endblock %}",
            [
                'mine:2: the block "lookfor" is not used, because "top" has no such block;'
                ' did you mean "look_for"?'
            ],
        ),
        (
            "{% extends 'middle' %}{% if x %}{% block zzz %}{% endblock %}{% endif %}",
            [
                'mine:1: the block "zzz" is not used, because "middle" has no such block;'
                " there is a, added, inner, look_for"
            ],
        ),
        (
            "{% include 'odd' %}",
            [
                'odd:2: the block "lost" is not used, because "top" has no such block;'
                " there is a, inner, look_for"
            ],
        ),
    ],
)
def test_block_that_no_template_above_has_is_named(source: str, unused: list[str]) -> None:
    sources = {"mine": source, **PARENTS}
    environment = sandbox(sources)
    assert compile_fault(environment, sources, "mine") is None
    assert list(map(fault_text, unused_blocks(environment, sources, "mine"))) == unused
