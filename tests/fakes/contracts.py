"""GitHub's OpenAPI description: validates requests and responses, and fills in missing properties."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

# jsonschema's checker of IRIs, where it is installed, takes 3 s to build. GitHub's description has none.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # None: an import of it fails

from openapi_schema_validator import OAS30Validator, oas30_format_checker  # noqa: E402  # see above
from referencing import Registry, Resource  # noqa: E402

Json = dict[str, Any]

_DESCRIPTION = (
    Path(__file__).resolve().parents[2] / "node_modules/@octokit/openapi/generated/api.github.com.json"
)
_URI = "urn:github"
_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})

# Statuses that every route of GitHub may answer, declared or not, in the shape of basic-error.
_EVERYWHERE = frozenset({"400", "401", "403", "404", "406", "409", "422", "429", "500", "502", "503"})

# Errata of the description, as (operation and status, place, keyword).
_ERRATA = frozenset(
    {
        # null where the head's repository was deleted, as GitHub's own documentation of events says.
        ("GET /repos/{owner}/{repo}/pulls/{pull_number} 200", "head/repo", "nullable"),
        ("GET /repos/{owner}/{repo}/pulls/{pull_number} 200", "head/repo", "type"),
        # null where the diff has lost the line, for which the description has no word.
        ("GET /repos/{owner}/{repo}/pulls/{pull_number}/comments 200", "[]/line", "type"),
        ("GET /repos/{owner}/{repo}/pulls/comments/{comment_id} 200", "line", "type"),
        ("PATCH /repos/{owner}/{repo}/pulls/comments/{comment_id} 200", "line", "type"),
        ("POST /repos/{owner}/{repo}/pulls/{pull_number}/comments 201", "line", "type"),
        ("POST /repos/{owner}/{repo}/pulls/{pull_number}/comments/{comment_id}/replies 201", "line", "type"),
    }
)


@cache
def contracts() -> Contracts:
    """The description, read once a process."""
    if not _DESCRIPTION.is_file():
        raise FileNotFoundError(f"{_DESCRIPTION} is missing: run `npm ci` to install GitHub's contracts.")
    return Contracts(json.loads(_DESCRIPTION.read_bytes()))


class Contracts:
    """Checks by operation: a method and a path template in GitHub's words, `/repos/{owner}/{repo}`."""

    def __init__(self, document: Json) -> None:
        self._document = document
        self._registry: Registry[Any] = Registry().with_resource(_URI, Resource.opaque(document))
        self._validators: dict[str, OAS30Validator] = {}

    def request_faults(
        self, method: str, template: str, query: Mapping[str, str], body: object
    ) -> Iterator[str]:
        """What is wrong with a request: query, body, and fields that GitHub does not know."""
        name = f"{method} {template}"
        operation = self._operation(method, template)
        declared = {
            p["name"]: p for p in map(self._resolved, operation.get("parameters", ())) if p["in"] == "query"
        }
        for key, value in query.items():
            if key not in declared:
                yield f"{name}: unknown query parameter {key!r}"
            else:
                yield from self._query_faults(name, key, value, declared[key]["schema"])
        if method not in _METHODS_WITH_BODY:
            if body is not None:
                yield f"{name}: a body where GitHub reads none"
            return
        content = operation.get("requestBody", {}).get("content", {})
        if "application/json" in content:
            pointer = [*_pointer(method, template), "requestBody", "content", "application/json", "schema"]
            yield from self._faults(f"{name} request", pointer, body)
            yield from self._unknown(f"{name} request", content["application/json"]["schema"], body)

    def answer_faults(self, method: str, template: str, status: int, body: object) -> Iterator[str]:
        """What is wrong with an answer, except for the known errata."""
        name = f"{method} {template}"
        responses = self._operation(method, template)["responses"]
        code = str(status)
        if code in responses:
            pointer = [*_pointer(method, template), "responses", code]
            response = responses[code]
            if "$ref" in response:
                pointer = response["$ref"].removeprefix("#/").split("/")
                response = self._resolved(response)
            content = response.get("content", {})
            if content:
                media = "application/json" if "application/json" in content else next(iter(content))
                pointer = [*pointer, "content", media, "schema"]
                yield from self._faults(f"{name} {code}", pointer, body)
            elif body is not None:
                yield f"{name} {code}: a body where GitHub sends none"
        elif code in _EVERYWHERE:
            yield from self._faults(f"{name} {code}", ["components", "schemas", "basic-error"], body)
        else:
            yield f"{name}: status {code} is not declared"

    def complete(self, schema: str, known: Json, base_url: str) -> Json:
        """`known`, with every other required property of the named schema filled in by its type."""
        filled: Json = self._filled({"$ref": f"#/components/schemas/{schema}"}, known, base_url)
        return filled

    def _operation(self, method: str, template: str) -> Json:
        operation: Json = self._document["paths"][template][method.lower()]
        return operation

    def _resolved(self, node: Json) -> Json:
        found: Any = node
        while "$ref" in found:
            parts = found["$ref"].removeprefix("#/").split("/")
            found = self._document
            for part in parts:
                found = found[part]
        resolved: Json = found
        return resolved

    def _validator(self, pointer: list[str]) -> OAS30Validator:
        escaped = "/".join(part.replace("~", "~0").replace("/", "~1") for part in pointer)
        if escaped not in self._validators:
            self._validators[escaped] = OAS30Validator(
                {"$ref": f"{_URI}#/{escaped}"}, registry=self._registry, format_checker=oas30_format_checker
            )
        return self._validators[escaped]

    def _faults(self, name: str, pointer: list[str], body: object) -> Iterator[str]:
        for error in self._validator(pointer).iter_errors(body):
            # `nullable` beside enum, oneOf or anyOf: meant to allow null, and formally it does not.
            nullable = error.instance is None and error.schema.get("nullable")
            # oneOf that more than one shape satisfies (contents, user): a discriminator decides.
            ambiguous = error.validator == "oneOf" and not error.context
            place = "/".join(str(part) for part in error.absolute_path) or "(whole)"
            erratum = (name, re.sub(r"^\d+/", "[]/", place), error.validator)
            if not nullable and not ambiguous and erratum not in _ERRATA:
                yield f"{name}: {place}: {_short(error.message)}"

    def _query_faults(self, name: str, key: str, value: str, schema: Json) -> Iterator[str]:
        schema = self._resolved(schema)
        if schema.get("type") == "integer" and not value.isdecimal():
            yield f"{name}: query parameter {key}={value!r} is no integer"
        if "enum" in schema and value not in schema["enum"]:
            yield f"{name}: query parameter {key}={value!r} is none of {schema['enum']}"

    def _unknown(self, name: str, schema: Json, body: object) -> Iterator[str]:
        """Fields that no schema names: the description itself forbids none."""
        schema = self._resolved(schema)
        if isinstance(body, list):
            for part in body:
                yield from self._unknown(name, schema.get("items", {}), part)
        known: dict[str, Json] = schema.get("properties", {})
        if isinstance(body, dict) and known:
            for key, value in body.items():
                if key not in known:
                    yield f"{name}: unknown field {key!r}"
                else:
                    yield from self._unknown(name, known[key], value)

    def _filled(self, schema: Json, known: object, base_url: str) -> Any:
        schema = self._resolved(schema)
        given: Json = known if isinstance(known, dict) else {}
        if schema.get("nullable") and known is None:
            return None
        for part in schema.get("allOf", ()):
            given = self._filled(part, given, base_url)
        for word in ("oneOf", "anyOf"):
            if word in schema:
                return self._filled(schema[word][0], given, base_url)
        if "properties" not in schema:
            return given if schema.get("type") == "object" or "allOf" in schema else _scalar(schema, base_url)
        complete = dict(given)
        for name in schema.get("required", ()):
            if name not in complete:
                complete[name] = self._filled(schema["properties"][name], _absent(schema, name), base_url)
        return complete


def _short(message: str) -> str:
    """Both ends of a message, which can quote a whole body in its middle."""
    return message if len(message) <= 300 else f"{message[:100]} … {message[-180:]}"


def _absent(schema: Json, name: str) -> object:
    return None if schema["properties"][name].get("nullable") else {}


def _scalar(schema: Json, base_url: str) -> object:
    """The plainest value of a type; URLs stay on the fake."""
    if "enum" in schema:
        return next(value for value in schema["enum"] if value is not None)
    match schema.get("type"):
        case "integer" | "number":
            return 0
        case "boolean":
            return False
        case "array":
            return []
        case _:
            return _text(schema.get("format"), base_url)


def _text(form: str | None, base_url: str) -> str:
    match form:
        case "uri":
            return f"{base_url}/not-served"
        case "date-time":
            return "2026-01-02T03:04:05Z"
        case "email":
            return "someone@example.com"
        case _:
            return "x"


def _pointer(method: str, template: str) -> list[str]:
    return ["paths", template, method.lower()]
