"""The refusals of Azure's worker when it indexes an app, in its own words (azure_functions_runtime/functions.py).

The worker stops at its first refusal; devhost lists all of them. A test runs both and shows that they refuse the same
functions. The library itself is not needed to serve an app, and needs a Python of its own.
"""

import inspect
import sys
import time
import typing
from collections.abc import Callable, Iterator
from typing import Any

import azure.functions as func

from devhost.history.failures import error_of

RETURN = "$return"
OUT, INOUT = 1, 2
ALIASES = (type(typing.List[int]), type(typing.List))  # noqa: UP006 - the old ones are another type
TYPES_OF_THEIR_OWN = "azurefunctions.extensions.base"


def refusals(definition: Any) -> list[str]:
    """A sentence for each difference between a function and its decorators for which the worker would not load it."""
    name = definition.get_function_name()
    return [f"cannot load the {name} function: {why}." for why in _differences(definition)]


def _differences(definition: Any) -> Iterator[str]:
    code, bindings = definition.get_user_function(), definition.get_bindings()
    try:
        annotations, parameters = typing.get_type_hints(code), set(inspect.signature(code).parameters)
        inspect.getfile(code)
    except Exception as fault:
        yield f"its signature cannot be read ({error_of(fault)})"
        return
    bound = {each.name: each for each in bindings}
    yield from _of_directions(bindings)
    bound.pop(RETURN, None)
    if "context" in parameters and "context" not in bound:
        parameters.remove("context")
        yield from _of_context(annotations)
    yield from _of_names(parameters, set(bound))
    for name in sorted(parameters & bound.keys() & annotations.keys()):
        yield from _of_annotation(bound[name], annotations[name])
    yield from _of_return(bindings, annotations)
    yield from _of_retry(definition.get_settings_dict("retry_policy"))


def _of_directions(bindings: list[Any]) -> Iterator[str]:
    if any(each.direction == INOUT for each in bindings):
        yield '"inout" bindings are not supported'
    if any(each.name == RETURN and each.direction != OUT for each in bindings):
        yield '"$return" binding must have direction set to "out"'


def _of_context(annotations: dict[str, Any]) -> Iterator[str]:
    annotation = annotations.get("context")
    if "context" in annotations and getattr(annotation, "__name__", None) != "Context":
        yield f'the "context" parameter is expected to be of type azure.functions.Context, got "{annotation!r}"'


def _of_names(parameters: set[str], bound: set[str]) -> Iterator[str]:
    if parameters - bound:
        yield (
            "the following parameters are declared in Python but not in the function definition (function.json or "
            f"function decorators): {_set(parameters - bound)}"
        )
    if bound - parameters:
        yield (
            "Extra parameters in binding definition — the following parameters are declared as bindings but are not "
            f"present in Python: {_set(bound - parameters)}"
        )


def _set(names: set[str]) -> str:
    return f"{{{', '.join(map(repr, sorted(names)))}}}"


def _of_annotation(binding: Any, annotation: Any) -> Iterator[str]:
    name, is_out = binding.name, _is_out(annotation)
    within = typing.get_args(annotation) if is_out else (annotation,)
    if len(within) != 1:
        yield f"binding {name} has invalid Out annotation {annotation!r}"
    elif not isinstance(within[0], type) and not _is_generic(within[0]):
        yield f"binding {name} has invalid non-type annotation {annotation!r}"
    elif binding.direction == OUT and not is_out:
        yield (
            f'binding {name} is declared to have the "out" direction, but its annotation in Python is not a subclass '
            "of azure.functions.Out"
        )
    elif binding.direction != OUT and is_out:
        yield (
            f'binding {name} is declared to have the "in" direction in the binding decorator, but its annotation is '
            "azure.functions.Out in Python"
        )
    elif not _takes(_kind(binding.type, within[0]), within[0], is_out):
        annotated = getattr(within[0], "__name__", repr(within[0]))
        yield (
            f'type of {name} binding in the binding decorator "{binding.type}" does not match its Python annotation '
            f'"{annotated}"'
        )


def _is_out(annotation: Any) -> bool:
    return getattr(typing.get_origin(annotation) or annotation, "__name__", None) == "Out"


def _is_generic(annotation: Any) -> bool:
    """Whether the worker takes a type for a generic: `list[int]` is none, and `typing.List[int]` is one."""
    if isinstance(annotation, type):
        return issubclass(annotation, typing.Generic)
    special = (typing.Union, tuple, typing.ClassVar, Callable)
    return isinstance(annotation, ALIASES) and getattr(annotation, "__origin__", None) not in special


def _kind(kind: str, annotation: Any) -> str:
    """The kind to check an annotation against: str and bytes fit any binding without an implicit output."""
    converter = func.get_binding_registry().get(kind)
    has_implicit_output = getattr(converter, "has_implicit_output", bool)()
    return "generic" if annotation in (str, bytes) and not has_implicit_output else kind


def _takes(kind: str, annotation: Any, is_out: bool) -> bool:
    """Whether the converter of a binding's type accepts the annotation of a parameter."""
    if TYPES_OF_THEIR_OWN in sys.modules:  # only that library knows its types
        return True
    converter = func.get_binding_registry().get(kind)
    if converter is None:
        texts = (str, bytes, bytearray) if is_out else (str, bytes)
        return isinstance(annotation, type) and issubclass(annotation, texts)
    try:
        check = converter.check_output_type_annotation if is_out else converter.check_input_type_annotation
        return bool(check(annotation))
    except Exception:  # a converter of one direction has no check of the other, and most accept classes only
        return False


def _of_return(bindings: list[Any], annotations: dict[str, Any]) -> Iterator[str]:
    """The refusal of a function that has a $return binding and an annotation for it."""
    kind = next((each.type for each in bindings if each.name == RETURN), None)
    if kind is None or "return" not in annotations:
        return
    annotation = annotations["return"]
    if _is_generic(annotation) and _is_out(annotation):
        yield "return annotation should not be azure.functions.Out"
    elif not isinstance(annotation, type):
        yield f"has invalid non-type return annotation {annotation!r}"
    elif not _takes(kind, annotation, is_out=True):
        yield f'Python return annotation "{annotation.__name__}" does not match binding type "{kind}"'


def _of_retry(policy: dict[str, Any] | None) -> Iterator[str]:
    if not policy:
        return
    try:
        int(policy.get("max_retry_count"))  # type: ignore[arg-type] # None is refused as well
        if policy.get("strategy") == "fixed_delay":
            time.strptime(policy.get("delay_interval"), "%H:%M:%S")  # type: ignore[arg-type]
        for name in ("minimum_interval", "maximum_interval"):
            if policy.get("strategy") != "fixed_delay" and policy.get(name):
                time.strptime(policy[name], "%H:%M:%S")
    except (TypeError, ValueError) as fault:
        yield f"its retry policy cannot be read ({fault})"
