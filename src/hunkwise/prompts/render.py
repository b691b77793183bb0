"""Templates → prompts, in Jinja2's sandbox: plain values in, bounded text out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from jinja2 import (
    BaseLoader,
    DictLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
)
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from hunkwise.errors import SettingsError

BUILT_IN = ("review",)
MAX_PROMPT = 400_000
"""Characters of one rendered prompt."""
MAX_TEMPLATE = 65_536
_MAX_OPERAND = 100_000
_LINE_ENDS = re.compile(r"\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# Methods that look at a text or a mapping; others can make gigabytes of a few bytes.
_METHODS = frozenset(
    "capitalize changed count cycle endswith find get index isdigit items keys lower lstrip removeprefix "
    "removesuffix rstrip split splitlines startswith strip title upper values".split()
)
_FILTERS = frozenset(
    "abs capitalize count d default dictsort e escape first float groupby int items join last length list "
    "lower map max min reject rejectattr reverse round select selectattr slice sort string sum title tojson "
    "trim truncate unique upper wordcount".split()
)


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2's own sandbox stops escapes to Python; this one also stops what eats memory."""

    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator in ("*", "**") and not (_small(left) and _small(right)):
            raise SecurityError(f"`{operator}` works on small numbers only")
        if operator == "%" and not _small(left):
            raise SecurityError("`%` works on numbers only")
        if operator == "+" and _length(left) + _length(right) > _MAX_OPERAND:
            raise SecurityError("`+` would make too long a text")
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        safe = super().is_safe_attribute(obj, attr, value)
        return safe and (not callable(value) or attr in _METHODS)


def _small(operand: object) -> bool:
    return isinstance(operand, int | float) and abs(operand) <= 1_000_000


def _length(operand: object) -> int:
    return len(operand) if isinstance(operand, str | list | tuple) else 0


def quoted(text: object, limit: int = 10_000) -> str:
    """Foreign text as a block quote: no line of it can pose as a part of the prompt."""
    value = str(text)
    cut = value[:limit]
    lines = ["> " + _visible(line) for line in _LINE_ENDS.split(cut)]
    if len(value) > limit:
        lines.append(f"> (cut here: {len(value) - limit:,} more characters)")
    return "\n".join(lines)


def named(text: object) -> str:
    """A foreign name on one line, in quotes."""
    return json.dumps(_visible(str(text)), ensure_ascii=False)


def _visible(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\t" else f"\\u{ord(c):04x}" for c in text)


class Renderer:
    """Compiles a run's templates once, and renders a prompt for each chunk."""

    def __init__(self, templates: Mapping[str, str]) -> None:
        """`templates`: the user's own, by the name of their prompt, as read at the base SHA."""
        self._own = dict(templates)
        built_in = {name: _package_text(f"{name}.md.j2") for name in BUILT_IN}
        loader: BaseLoader = DictLoader({**built_in, **self._own})
        self._environment = _Sandbox(
            loader=loader, undefined=StrictUndefined, keep_trailing_newline=False, trim_blocks=False
        )
        allowed: dict[str, Callable[..., Any]] = {
            name: function for name, function in self._environment.filters.items() if name in _FILTERS
        }
        self._environment.filters = {**allowed, "quoted": quoted, "named": named}
        keep = {name: self._environment.globals[name] for name in ("range", "dict")}
        self._environment.globals = keep

    @property
    def system(self) -> str:
        """The system message: the same for every prompt."""
        return _package_text("system.md")

    def check(self, name: str) -> None:
        """Compiles the template. Raises SettingsError with its line, where it does not compile."""
        try:
            self._environment.get_template(name)
        except TemplateNotFound as error:
            raise SettingsError([f'There is no template "{error}" for the prompt "{name}".']) from error
        except TemplateSyntaxError as error:
            raise SettingsError(
                [f'The template of "{name}", line {error.lineno}: {error.message}.']
            ) from error

    def render(self, name: str, context: Mapping[str, Any]) -> str:
        """One prompt. Raises SettingsError where the template fails or says more than MAX_PROMPT."""
        try:
            pieces, size = [], 0
            for piece in self._environment.get_template(name).generate(**context):
                size += len(piece)
                if size > MAX_PROMPT:
                    raise SettingsError(
                        [f'The template of "{name}" renders more than {MAX_PROMPT:,} characters: shorten it.']
                    )
                pieces.append(piece)
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
            raise SettingsError([f'The template of "{name}" cannot be rendered: {error}.']) from error
        return "".join(pieces).strip() + "\n"


def _package_text(name: str) -> str:
    return (files("hunkwise.prompts") / "templates" / name).read_text(encoding="utf-8")
