"""Attacks through the base's configuration and templates: they run nothing, read no other files, and end in time."""

from __future__ import annotations

from collections.abc import Mapping

from tests.end_to_end.prompts import user_text
from tests.end_to_end.step import Result
from tests.end_to_end.world import BASE, HEAD, Files, finding
from tests.fakes.model_script import report
from tests.redteam.attack import AttackWorld

CONFIG = ".github/hunkwise.yml"


def bomb(levels: int, merge: str = "") -> str:
    """Returns anchors of which each refers to the one before nine times."""
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
"""Each is a file of its own."""
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
"""All of them are in one file, a line each."""


def lines_of(wrong: Mapping[str, str], world: AttackWorld) -> str:
    trap = world.trap_command("configuration").replace("'", "")
    return "".join(f"{line}\n" for line in wrong.values()).replace("/bin/touch TRAP", trap)


def early_errors(world: AttackWorld, result: Result, code: int = 2) -> list[str]:
    """Returns the errors of a run that asked no model and wrote nothing."""
    assert result.code == code, result.log
    assert (world.model.requests, world.github.writes) == ([], [])
    return result.commands("error")


def test_unreadable_configuration_fails_run(world: AttackWorld) -> None:
    world.record_attacks(*UNREADABLE)
    base: dict[str, str | bytes | None] = {f"c/{n}.yml": raw for n, raw in enumerate(UNREADABLE.values())}
    world.change({**BASE, **base}, HEAD)
    for number, name in enumerate(UNREADABLE):
        errors = early_errors(world, world.run({"config": f"c/{number}.yml"}))
        assert errors[0].startswith(f"c/{number}.yml"), name
        assert sum(map(len, errors)) < 20_000


def test_reports_each_invalid_line(world: AttackWorld) -> None:
    world.record_attacks(*WRONG_LINES)
    text = f"version: 1\n{lines_of(WRONG_LINES, world)}"
    world.change({**BASE, CONFIG: text}, HEAD)
    errors = early_errors(world, world.run())
    lines = {int(error.removeprefix(f"{CONFIG}:").partition(":")[0]) for error in errors}
    assert lines == set(range(2, len(WRONG_LINES) + 2))


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


def configure_templates(*templates: str) -> Files:
    """Returns a configuration with prompts p0, p1, … of these templates."""
    prompts = "".join(f"  - {{name: p{n}, template: p{n}.md.j2}}\n" for n in range(len(templates)))
    files = {f"p{n}.md.j2": text for n, text in enumerate(templates)}
    return {**BASE, CONFIG: f"version: 1\nchunk-size: 4000\nprompts:\n{prompts}", **files}


def test_template_cannot_escape_sandbox(world: AttackWorld) -> None:
    world.record_attacks(*ESCAPES)
    turns = "".join(f"{{% elif name == 'f{n:02}.py' %}}{text}\n" for n, text in enumerate(ESCAPES))
    template = f"{{% set name = chunk.files[0].path %}}{{% if name == 'a.py' %}}FINE\n{turns}{{% endif %}}"
    names = [f"f{number:02}.py" for number in range(len(ESCAPES))]
    world.change(
        configure_templates(template),
        dict.fromkeys(["a.py", *names], BODY),
        script=report([finding("a.py", 2)]),
    )
    result = world.run()
    assert result.code == 4, result.log
    assert ["FINE" in user_text(request) for request in world.model.requests] == [True]
    unread = {file["path"] for file in result.report["coverage"]["files"] if file["reason"]}
    assert unread == set(names)
    lines = "\n".join(fault["message"] for fault in result.report["faults"])
    assert [text for n, text in enumerate(ESCAPES) if f"p0.md.j2:{n + 2}:" not in lines] == [FLOOD]
    assert "it renders more than 400,000 characters" in lines
    assert [one.path for one in world.github.comments] == ["a.py"]


REFERENCES: tuple[str, ...] = (
    "{% include '../../../../etc/passwd' %}",
    "{% include '/proc/self/environ' %}",
    "{% include '.github/hunkwise.yml' %}",
    "{% include ['nowhere', 'own.md.j2'] %}",
    "{% import 'os' as os %}{{ os.environ }}",
    "{% extends '.git/config' %}",
    "{% from 'hunkwise.cli' import main %}{{ main() }}",
)
"""Each names a file or module that is not a template."""


def test_template_cannot_load_other_files(world: AttackWorld) -> None:
    world.record_attacks(*REFERENCES)
    world.change(configure_templates(*(f"Words.\n{text}\n" for text in REFERENCES)), HEAD)
    for number, text in enumerate(REFERENCES):
        errors = early_errors(world, world.run({"prompts": f"p{number}"}))
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


def test_invalid_template_fails_run_in_time(world: AttackWorld) -> None:
    world.record_attacks(*NOT_TEMPLATES)
    world.change(configure_templates(*NOT_TEMPLATES.values()), HEAD)
    for number, name in enumerate(NOT_TEMPLATES):
        errors = early_errors(world, world.run({"prompts": f"p{number}"}))
        assert f'the prompt "p{number}"' in errors[0], (name, errors)


def test_deadline_ends_endless_template(world: AttackWorld) -> None:
    world.record_attacks("an endless loop")
    world.change(
        configure_templates("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"),
        HEAD,
    )
    errors = early_errors(world, world.run({"prompts": "p0", "deadline": "0.1"}), code=3)
    assert "deadline" in errors[0]


PLACES: Mapping[str, str] = {
    "above the repository": "../canary.txt",
    "a climb within": "a/../../canary.txt",
    "an absolute path": "/etc/passwd",
    "a path of Windows": "a\\..\\b",
    "an empty step": "a//b",
}


def test_template_must_be_a_file_of_the_base(world: AttackWorld) -> None:
    world.record_attacks(
        *PLACES,
        "a link out of the repository",
        "git's own configuration",
        "a folder",
        "a template of the head",
    )
    paths = [*PLACES.values()]
    prompts = "".join(f"  - {{name: p{n}, template: '{path}'}}\n" for n, path in enumerate(paths))
    world.repository.path.joinpath("link.md.j2").symlink_to(world.canary_file)
    wrong = f"version: 1\nprompts:\n{prompts}"
    missing = ("link.md.j2", ".git/config", "folder", "head.md.j2")
    found = "".join(f"  - {{name: p{n}, template: {path}}}\n" for n, path in enumerate(missing))
    base: Files = {CONFIG: wrong, "found.yml": f"version: 1\nprompts:\n{found}", "folder/x": "x\n"}
    world.change({**BASE, **base}, {**HEAD, "head.md.j2": "x"})
    errors = early_errors(world, world.run())
    assert [int(error.split(":")[1]) for error in errors] == [n + 3 for n in range(len(paths))]
    with_checkout = dict.fromkeys(missing[1:], world.repository.path)
    for number, path in enumerate(missing):
        given = {"config": "found.yml", "prompts": f"p{number}"}
        errors = early_errors(world, world.run(given, workspace=with_checkout.get(path)))
        assert path in errors[0]
    link = world.run({"config": "found.yml", "prompts": "p0"}, workspace=world.repository.path)
    assert "link.md.j2" in early_errors(world, link)[0]
