"""Index an app with Microsoft's worker library and with devhost: `python both_indexers.py ROOT APP` prints, as JSON,
why each of them refuses a function.

A process of its own, because the library reads the environment when it is imported.
"""

import importlib
import json
import sys
from typing import Any


def main() -> None:
    sys.path[:0] = reversed(sys.argv[1:3])  # the app before this repository, which has an app of its own
    from azure_functions_runtime.bindings.meta import load_binding_registry  # noqa: PLC0415 - needs the path

    from devhost.worker.indexing import refusals  # noqa: PLC0415

    load_binding_registry()
    definitions = importlib.import_module("function_app").app.get_functions()
    refused_by = {each.get_function_name(): (refusal_of_library(each), refusals(each)) for each in definitions}
    print(json.dumps(refused_by))


def refusal_of_library(definition: Any) -> str | None:
    from azure_functions_runtime import loader  # noqa: PLC0415
    from azure_functions_runtime.functions import Registry  # noqa: PLC0415

    from tests.architecture.functions_worker import PROTOS  # noqa: PLC0415

    try:
        Registry().add_indexed_function(definition, PROTOS)
        loader.build_retry_protos(PROTOS, definition)
    except Exception as fault:
        return str(fault)
    return None


main()
