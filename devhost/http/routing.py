"""HTTP routes as ASP.NET Core reads them in a Functions app: templates, constraints, order.

Routes are tried in the order of their functions' names, case aside, and the first that fits wins; a wrong verb is no
match (404, never 405). A template becomes one regular expression and a list of checks, so that a match is one call.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote

Check = Callable[[str], bool]

PARAMETER = re.compile(r"\{(\*{0,2})([A-Za-z_]\w*)((?::[a-z]+(?:\((?:[^()]|\([^()]*\))*\))?)*)(=[^}?]*)?(\?)?\}")
CONSTRAINT = re.compile(r":([a-z]+)(?:\(((?:[^()]|\([^()]*\))*)\))?")
RESERVED = ("admin", "runtime")
DASHED = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
GUID = re.compile(rf"[0-9a-f]{{32}}|{DASHED}|\{{{DASHED}\}}|\({DASHED}\)", re.IGNORECASE)
DECIMAL = re.compile(r"[+-]?(\d[\d,]*\.?\d*|\.\d+)")
FLOAT = re.compile(r"[+-]?(\d[\d,]*\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?Infinity|NaN", re.IGNORECASE)


class BadRoute(Exception):
    """A route that the Functions host would refuse; the text says why."""


def _parses(parse: Callable[[str], Any]) -> Check:
    def check(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return check


def _is(pattern: re.Pattern[str]) -> Check:
    return lambda text: pattern.fullmatch(text) is not None


def _whole(bits: int) -> Check:
    def check(text: str) -> bool:
        return re.fullmatch(r"[+-]?\d+", text) is not None and -(2 ** (bits - 1)) <= int(text) < 2 ** (bits - 1)

    return check


def _length(least: str, most: str | None = None) -> Check:
    return lambda text: int(least) <= len(text) <= int(most or least)


def _range(least: str, most: str) -> Check:
    return lambda text: _whole(64)(text) and int(least) <= int(text) <= int(most)


# ASP.NET's inline constraints; each gets the texts between its parentheses.
CONSTRAINTS: dict[str, Callable[..., Check]] = {
    "int": lambda: _whole(32),
    "long": lambda: _whole(64),
    "guid": lambda: _is(GUID),
    "bool": lambda: lambda text: text.lower() in ("true", "false"),
    "decimal": lambda: _is(DECIMAL),
    "double": lambda: _is(FLOAT),
    "float": lambda: _is(FLOAT),
    "datetime": lambda: _parses(datetime.fromisoformat),
    "alpha": lambda: lambda text: re.fullmatch(r"[A-Za-z]*", text) is not None,
    "required": lambda: lambda text: text != "",
    "length": _length,
    "minlength": lambda least: lambda text: len(text) >= int(least),
    "maxlength": lambda most: lambda text: len(text) <= int(most),
    "min": lambda least: lambda text: _whole(64)(text) and int(text) >= int(least),
    "max": lambda most: lambda text: _whole(64)(text) and int(text) <= int(most),
    "range": _range,
    "regex": lambda pattern: lambda text: re.search(pattern, text, re.IGNORECASE) is not None,
}


@dataclass(frozen=True)
class Parameter:
    name: str
    checks: tuple[Check, ...]
    default: str | None
    catch_all: bool
    optional: bool


@dataclass(frozen=True)
class Route:
    """One function's route. `function` is the worker's description."""

    template: str
    methods: frozenset[str]
    function: dict[str, Any]
    pattern: re.Pattern[str]
    parameters: tuple[Parameter, ...]

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The route parameters of a raw (still escaped) path, or None."""
        match = self.pattern.fullmatch(path)
        if match is None or (self.methods and method not in self.methods):
            return None
        values: dict[str, str] = {}
        for parameter in self.parameters:
            text = match[parameter.name]
            value = unquote(text) if text else parameter.default
            if value is None:
                continue
            if not all(check(value) for check in parameter.checks):
                return None
            values[parameter.name] = value
        return values


def build(prefix: str, functions: list[dict[str, Any]]) -> list[Route]:
    """The routes of the HTTP functions, in the order in which they are tried. Raises BadRoute.

    In upper case, as .NET compares names without case: an underscore comes after the letters.
    """
    routes: list[Route] = []
    for function in sorted(functions, key=lambda each: each["name"].upper()):
        route = compile_route(prefix, function)
        rival = next((each for each in routes if _conflict(each, route)), None)
        if rival:
            raise BadRoute(
                f"The '{function['name']}' function: the route specified conflicts with the route defined by function "
                f"'{rival.function['name']}'."
            )
        routes.append(route)
    return routes


def find(routes: list[Route], method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The first route that takes the method and the path, and its parameters."""
    for route in routes:
        values = route.match(method, path)
        if values is not None:
            return route, values
    return None


def compile_route(prefix: str, function: dict[str, Any]) -> Route:
    own = (function["route"] or function["name"]).strip("/")
    if own.lower().startswith(RESERVED):
        raise BadRoute(f"The '{function['name']}' function: the specified route conflicts with built in routes.")
    template = f"{prefix}/{own}".strip("/")
    parameters: list[Parameter] = []
    pattern = "".join(_segment(segment, parameters) for segment in _segments(template))
    methods = frozenset(method.upper() for method in function["methods"])
    return Route(template, methods, function, re.compile(f"{pattern}/?", re.IGNORECASE), tuple(parameters))


def _segments(template: str) -> list[str]:
    """The template cut at the slashes outside braces."""
    segments, depth = [""], 0
    for character in template:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "/" and depth == 0:
            segments.append("")
        else:
            segments[-1] += character
    return segments


def _segment(segment: str, parameters: list[Parameter]) -> str:
    """The pattern of one segment with its slash; its parameters are appended to the list."""
    alone = PARAMETER.fullmatch(segment)
    if alone:
        parameter = _parameter(alone)
        parameters.append(parameter)
        return _alone(parameter)
    pattern, end = "", 0
    for match in PARAMETER.finditer(segment):
        parameters.append(_parameter(match))
        pattern += re.escape(segment[end : match.start()]) + f"(?P<{match[2]}>[^/]+?)"
        end = match.end()
    return "/" + pattern + re.escape(segment[end:])


def _alone(parameter: Parameter) -> str:
    if parameter.catch_all:
        return f"(?:/(?P<{parameter.name}>.*))?"
    if parameter.optional or parameter.default is not None:
        return f"(?:/(?P<{parameter.name}>[^/]+))?"
    return f"/(?P<{parameter.name}>[^/]+)"


def _parameter(match: re.Match[str]) -> Parameter:
    checks = tuple(_check(name, text) for name, text in CONSTRAINT.findall(match[3]))
    default = match[4][1:] if match[4] else None
    return Parameter(match[2], checks, default, bool(match[1]), bool(match[5]))


def _check(name: str, text: str) -> Check:
    if name not in CONSTRAINTS:
        raise BadRoute(f"The route constraint '{name}' is not known.")
    doubled = text.replace("{{", "{").replace("}}", "}")  # a template writes the braces of an expression twice
    arguments = [doubled] if name == "regex" else [each.strip() for each in text.split(",") if each.strip()]
    return CONSTRAINTS[name](*arguments)


def _conflict(one: Route, other: Route) -> bool:
    same = one.template.lower() == other.template.lower()
    return same and (not one.methods or not other.methods or bool(one.methods & other.methods))
