"""The base's configuration and templates are data: they run nothing, read nothing else, and end in time."""

from __future__ import annotations

from collections.abc import Mapping

from tests.end_to_end.prompts import user_text
from tests.end_to_end.step import Result
from tests.end_to_end.world import BASE, HEAD, Files, finding
from tests.fakes.model_script import report
from tests.redteam.attack import Arena

CONFIG = ".github/hunkwise.yml"


def bomb(levels: int, merge: str = "") -> str:
    """Nine times nine times nine …"""
    lines = [f"l0: &l0 {'{x: 1}' if merge else '[x]'}"]
    for level in range(1, levels):
        nine = ", ".join([f"*l{level - 1}"] * 9)
        lines.append(f"l{level}: &l{level} " + (f"{{{merge}: [{nine}]}}" if merge else f"[{nine}]"))
    return "\n".join(lines)


UNREADABLE: Mapping[str, bytes] = {
    "a bomb of merge keys": bomb(30, "<<").encode(),
    "a bomb of aliases": bomb(30).encode(),
    "a bomb of brackets": b"ignore: " + b"[" * 60_000,
    "65,537 bytes": b"version: 1\n#" + b"x" * 65_525,
    "UTF-16": "version: 1\n".encode("utf-16"),
    "a NUL": b"version: 1\nmodel: x\0y\n",
    "a directive": b"%TAG ! tag:yaml.org,2002:python/\n---\nversion: 1\n",
}
"""Each of them a file of its own."""
WRONG_LINES: Mapping[str, str] = {
    "a tag that runs": "model: !!python/object/apply:os.system ['/bin/touch TRAP']",
    "a tag that imports": "min-severity: !!python/name:os.environ low",
    "a tag of one's own": "paths: !include /etc/passwd",
    "an anchor": "ignore: &all ['**']",
    "an integer of a thousand digits": f"max-comments: {'9' * 1_000}",
    "an exponent": "max-model-calls: 1e999999999",
    "a number that is none": "deadline: .inf",
    "a date": "max-tokens: 2024-13-45",
    "a number to the base of sixty": "min-coverage: 1:30:00",
    "a truth that is none": "approve: yes",
    "a text for a truth": "dry-run: 'true'",
    "an unknown key": "colour: red",
    "a key that is nearly one": "fail-onn: high",
    "a key of Python": "__class__: x",
    "a base URL": "provider-base-url: https://evil.example/v1",
    "a key of the provider": "provider-api-key: x",
    "a kind of provider": "provider-type: openai",
    "a token": "github-token: x",
    "another token": "copilot-token: x",
    "a server of one's own": "copilot-url: evil.example:443",
    "the server's token": "copilot-connection-token: x",
    "another configuration": "config: other.yml",
    "another pull request": "pull-request: 2",
    "a report to publish": "publish: report.json",
}
"""All of them in one file, a line each."""


def lines_of(wrong: Mapping[str, str], arena: Arena) -> str:
    trap = arena.trap("configuration").replace("'", "")
    return "".join(f"{line}\n" for line in wrong.values()).replace("/bin/touch TRAP", trap)


def ends_before_anything(arena: Arena, result: Result, code: int = 2) -> list[str]:
    """The errors of a run that asked no model and wrote nothing."""
    assert result.code == code, result.log
    assert (arena.model.requests, arena.github.writes) == ([], [])
    return result.commands("error")


def test_what_is_no_configuration_ends_the_run_at_once(arena: Arena) -> None:
    arena.tries(*UNREADABLE)
    base: dict[str, str | bytes | None] = {f"c/{n}.yml": raw for n, raw in enumerate(UNREADABLE.values())}
    arena.change({**BASE, **base}, HEAD)
    for number, name in enumerate(UNREADABLE):
        errors = ends_before_anything(arena, arena.run({"config": f"c/{number}.yml"}))
        assert errors[0].startswith(f"c/{number}.yml"), name
        assert sum(map(len, errors)) < 20_000


def test_every_wrong_line_is_told(arena: Arena) -> None:
    arena.tries(*WRONG_LINES)
    text = f"version: 1\n{lines_of(WRONG_LINES, arena)}"
    arena.change({**BASE, CONFIG: text}, HEAD)
    errors = ends_before_anything(arena, arena.run())
    told = {int(error.removeprefix(f"{CONFIG}:").partition(":")[0]) for error in errors}
    assert told == set(range(2, len(WRONG_LINES) + 2))


# Templates


FLOOD = "{% for a in range(99999) %}{{ a }} and more and more and more{% endfor %}"
ESCAPES: tuple[str, ...] = (
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ pull_request.__class__ }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context.environment }}",
    "{{ range.__globals__ }}",
    "{{ namespace.__init__.__globals__.sys }}",
    "{{ dict.__base__.__subclasses__() }}",
    "{{ '{0.__class__}'.format(chunk) }}",
    "{{ '{files.__class__}'.format_map(chunk) }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ '%(x)s' % {'x': chunk} }}",
    "{{ chunk.files.append(1) }}",
    "{{ pull_request.update({'title': 'x'}) }}",
    "{% set n = namespace() %}{{ n.__setattr__ }}",
    "{{ ['__class__'] | map(attribute='__class__') | join }}",
    "{{ [chunk] | sum(start=''.__class__) }}",
    "{% for a in [1] %}{{ loop.__class__ }}{% endfor %}",
    "{{ 'a' * 10**9 }}",
    "{{ [0] * 10**9 }}",
    "{{ 10**10**9 }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ 'x'.center(10**9) }}",
    "{{ 'x'.replace('', 'x' * 9) }}",
    "{{ 'x'.encode() }}",
    "{{ range(10**9) | list }}",
    FLOOD,
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% set name = '../../../../etc/passwd' %}{% include name %}",
    "{% set name = '.git/config' %}{% extends name %}",
    *(
        f"{{{{ {name} }}}}"
        for name in "environ env os config inputs secrets github github_token request".split()
    ),
    *(
        f"{{{{ {name} }}}}"
        for name in "cycler joiner lipsum prompt.environ chunk.token repository.token".split()
    ),
)
"""Each would give a template more than its values, or never end."""
BODY = "".join(f"value_{number} = {number}  # {'x' * 40}\n" for number in range(100))


def own(*templates: str) -> Files:
    """The base's configuration with prompts p0, p1, … of these templates."""
    prompts = "".join(f"  - {{name: p{n}, template: p{n}.md.j2}}\n" for n in range(len(templates)))
    files = {f"p{n}.md.j2": text for n, text in enumerate(templates)}
    return {**BASE, CONFIG: f"version: 1\nchunk-size: 4000\nprompts:\n{prompts}", **files}


def test_a_template_has_its_values_and_nothing_else(arena: Arena) -> None:
    arena.tries(*ESCAPES)
    turns = "".join(f"{{% elif name == 'f{n:02}.py' %}}{text}\n" for n, text in enumerate(ESCAPES))
    template = f"{{% set name = chunk.files[0].path %}}{{% if name == 'a.py' %}}FINE\n{turns}{{% endif %}}"
    names = [f"f{number:02}.py" for number in range(len(ESCAPES))]
    arena.change(own(template), dict.fromkeys(["a.py", *names], BODY))
    arena.answers(report([finding("a.py", 2)]))
    result = arena.run()
    assert result.code == 4, result.log
    assert ["FINE" in user_text(request) for request in arena.model.requests] == [True]
    unread = {file["path"] for file in result.report["coverage"]["files"] if file["reason"]}
    assert unread == set(names)
    told = "\n".join(fault["message"] for fault in result.report["faults"])
    assert [text for n, text in enumerate(ESCAPES) if f"p0.md.j2:{n + 2}:" not in told] == [FLOOD]
    assert "it renders more than 400,000 characters" in told
    assert [one.path for one in arena.github.comments] == ["a.py"]


REFERENCES: tuple[str, ...] = (
    "{% include '../../../../etc/passwd' %}",
    "{% include '/proc/self/environ' %}",
    "{% include '.github/hunkwise.yml' %}",
    "{% include ['nowhere', 'own.md.j2'] %}",
    "{% import 'os' as os %}{{ os.environ }}",
    "{% extends '.git/config' %}",
    "{% from 'hunkwise.cli' import main %}{{ main() }}",
)
"""Each names what is no template, in plain sight."""


def test_a_template_reaches_no_file_and_no_module(arena: Arena) -> None:
    arena.tries(*REFERENCES)
    arena.change(own(*(f"Words.\n{text}\n" for text in REFERENCES)), HEAD)
    for number, text in enumerate(REFERENCES):
        errors = ends_before_anything(arena, arena.run({"prompts": f"p{number}"}))
        assert f"p{number}.md.j2:2: there is no template" in errors[0], (text, errors)


DOUBLING = (
    "{% set n = namespace(x='xxxxxxxx') %}{% for a in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}"
)
NOT_TEMPLATES: Mapping[str, str] = {
    "a text that doubles": DOUBLING,
    "a filter for attributes": "{{ ''|attr('__class__') }}",
    "a filter that formats": "{{ '%1000000000d'|format(1) }}",
    "a tag of Python": "{% do ''.__class__ %}",
    "a thousand brackets": "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
}


def test_a_template_that_cannot_end_or_compile_ends_the_run_in_time(arena: Arena) -> None:
    arena.tries(*NOT_TEMPLATES)
    arena.change(own(*NOT_TEMPLATES.values()), HEAD)
    for number, name in enumerate(NOT_TEMPLATES):
        errors = ends_before_anything(arena, arena.run({"prompts": f"p{number}"}))
        assert f'the prompt "p{number}"' in errors[0], (name, errors)


def test_a_template_that_does_not_end_is_ended_with_the_run(arena: Arena) -> None:
    arena.tries("an endless loop")
    arena.change(own("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"), HEAD)
    errors = ends_before_anything(arena, arena.run({"prompts": "p0", "deadline": "0.1"}), code=3)
    assert "deadline" in errors[0]


PLACES: Mapping[str, str] = {
    "above the repository": "../canary.txt",
    "a climb within": "a/../../canary.txt",
    "an absolute path": "/etc/passwd",
    "a path of Windows": "a\\..\\b",
    "an empty step": "a//b",
}


def test_a_template_is_a_file_of_the_base_and_nothing_else(arena: Arena) -> None:
    arena.tries(
        *PLACES,
        "a link out of the repository",
        "git's own configuration",
        "a folder",
        "a template of the head",
    )
    paths = [*PLACES.values()]
    prompts = "".join(f"  - {{name: p{n}, template: '{path}'}}\n" for n, path in enumerate(paths))
    arena.repository.path.joinpath("link.md.j2").symlink_to(arena.canary_file)
    wrong = f"version: 1\nprompts:\n{prompts}"
    missing = ("link.md.j2", ".git/config", "folder", "head.md.j2")
    found = "".join(f"  - {{name: p{n}, template: {path}}}\n" for n, path in enumerate(missing))
    base: Files = {CONFIG: wrong, "found.yml": f"version: 1\nprompts:\n{found}", "folder/x": "x\n"}
    arena.change({**BASE, **base}, {**HEAD, "head.md.j2": "x"})
    errors = ends_before_anything(arena, arena.run())
    assert [int(error.split(":")[1]) for error in errors] == [n + 3 for n in range(len(paths))]
    with_checkout = dict.fromkeys(missing[1:], arena.repository.path)
    for number, path in enumerate(missing):
        given = {"config": "found.yml", "prompts": f"p{number}"}
        errors = ends_before_anything(arena, arena.run(given, workspace=with_checkout.get(path)))
        assert path in errors[0]
    link = arena.run({"config": "found.yml", "prompts": "p0"}, workspace=arena.repository.path)
    assert "link.md.j2" in ends_before_anything(arena, link)[0]
