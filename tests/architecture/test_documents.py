"""What the documents name is there: links, headings, files, verbs, options, routes, steps, settings, rooms, tables."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from devtools.verbs import VERBS
from tests.architecture.test_rooms import OUR_ROOMS
from tests.support.documents import DOCUMENTS, ROOT, name_of, rows, text_of

# A parameter of a route that may be left out.
OPTIONAL = r"\{\w+:[^}]*\?\}"
README_MAY_HAVE_LINES = 200
# Made by running the product, so not in the repository.
MADE_BY_RUNNING = {".local/", ".venv", "local.settings.json", "DIR/urls.json", "urls.json", "taskhub.json"}

each_document = pytest.mark.parametrize("document", [name_of(each) for each in DOCUMENTS])


@each_document
def test_every_link_and_every_path_in_a_document_leads_somewhere(document: str) -> None:
    folder = (ROOT / document).parent
    files = {link.partition("#")[0] for link in links(document)} - {""}
    assert [file for file in sorted(files) if not (folder / file).exists()] == []
    assert [path for path in sorted(named_paths(text_of(document))) if not (ROOT / path).exists()] == []


def test_every_module_that_a_docstring_or_a_comment_names_is_there() -> None:
    lost = [
        f"{file.relative_to(ROOT)}: {name}"
        for file in sorted(file for room in OUR_ROOMS | {"tests"} for file in (ROOT / room).rglob("*.py"))
        for name in re.findall(
            rf"`((?:{'|'.join(sorted(OUR_ROOMS))}|tests)(?:\.\w+)+)", file.read_text(encoding="utf-8")
        )
        if not is_there(name)
    ]
    assert lost == []


def is_there(name: str) -> bool:
    """A package, a module, or a name in one."""
    path = ROOT.joinpath(*name.split("."))
    if path.is_dir() or path.with_suffix(".py").is_file():
        return True
    module = path.parent.with_suffix(".py")
    return module.is_file() and path.name in module.read_text(encoding="utf-8")


def links(document: str) -> set[str]:
    return set(re.findall(r"\]\((?!https?:)([^)]*)\)", text_of(document)))


def named_paths(text: str) -> set[str]:
    """What stands in backticks and looks like a file or a folder of this repository."""
    quoted = set(re.findall(r"`([\w.][\w./-]*(?:/|\.(?:py|md|json|txt|example|ttf|lock|yml|svg)))`", text))
    return quoted - MADE_BY_RUNNING


@each_document
def test_every_heading_that_is_linked_to_is_there(document: str) -> None:
    folder, missing = (ROOT / document).parent, []
    for link in sorted(links(document)):
        file, _, heading = link.partition("#")
        target = (folder / file).resolve() if file else ROOT / document
        if heading and heading not in anchors(target):
            missing.append(link)
    assert missing == []


def anchors(document: Path) -> set[str]:
    """The headings of a document as GitHub makes anchors of them."""
    heads = re.findall(r"^#+ (.*)", text_of(name_of(document)), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}


def test_each_picture_is_shown_in_a_document() -> None:
    shown = {Path(link).name for document in DOCUMENTS for link in links(name_of(document))}
    assert {path.name for path in (ROOT / "docs" / "pictures").iterdir()} <= shown


@each_document
def test_every_verb_of_dev_py_that_a_document_names_exists(document: str) -> None:
    for words in re.findall(r"dev\.py ([a-z]+(?: --no-host)?)", text_of(document)):
        assert words.split()[0] in {verb.name for verb in VERBS}


@each_document
def test_a_document_has_no_gaps_to_fill(document: str) -> None:
    assert not re.search(r"\b(TODO|FIXME|TBD|XXX)\b", text_of(document))


def test_the_readme_can_be_read_in_ten_minutes() -> None:
    lines = text_of("README.md").count("\n")
    assert lines <= README_MAY_HAVE_LINES, f"README.md has {lines} lines: shorten it, or move a part to docs/"


def test_the_readme_leads_to_every_document() -> None:
    linked = links("README.md")
    assert [name for name in map(name_of, DOCUMENTS) if led_to(name) not in linked | {"README.md"}] == []


def led_to(document: str) -> str:
    """Of the decisions the README names the folder."""
    return "docs/decisions/" if document.startswith("docs/decisions/") else document


def test_decisions_are_numbered_and_titled_as_their_files_are() -> None:
    files = sorted(path for path in (ROOT / "docs" / "decisions").glob("*.md") if path.name != "README.md")
    assert [int(path.name[:4]) for path in files] == list(range(1, len(files) + 1))
    for number, path in enumerate(files, start=1):
        assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", path.name)
        assert text_of(name_of(path)).startswith(f"# {number}. ")


def test_the_api_s_page_lists_every_route_with_its_key() -> None:
    listed = {(cells[0].strip("`"), cells[1]) for cells in rows("docs/http-api.md", "Route")}
    assert listed == set(routes())


def routes() -> Iterator[tuple[str, str]]:
    source = ast.parse((ROOT / "function_app.py").read_text(encoding="utf-8"))
    for node in ast.walk(source):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "app.route":
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            route, methods = ast.literal_eval(keywords["route"]), ast.literal_eval(keywords["methods"])
            level = keywords.get("auth_level", "FUNCTION").rpartition(".")[2].lower()
            path = f"/api/{re.sub(OPTIONAL, '', route)}".rstrip("/")
            yield from ((f"{method} {path}", level) for method in methods)


def test_the_api_s_page_lists_every_field_of_an_order() -> None:
    from models.order_request import OrderRequest  # noqa: PLC0415

    schema = OrderRequest.model_json_schema()
    models = [schema, *(schema["$defs"][name] for name in ("Customer", "Item", "Address"))]
    chapter = text_of("docs/http-api.md").partition("## An order\n")[2].partition("\n## ")[0]
    fields = {field for model in models for field in model["properties"]}
    assert [field for field in sorted(fields) if f"`{field}`" not in chapter] == []


def test_the_page_of_settings_lists_each_with_its_default_and_its_meaning() -> None:
    from services.settings import SETTINGS  # noqa: PLC0415

    default = {None: "must be set", "": "empty"}
    in_code = [
        [f"`{setting.name}`", default.get(setting.default, f"`{setting.default}`"), setting.meaning]
        for setting in SETTINGS
    ]
    assert rows("docs/settings.md", "Name") == in_code


def test_the_page_of_operations_names_every_field_of_health_and_of_the_sweeps_report() -> None:
    from api.document.answers import Health  # noqa: PLC0415

    section = text_of("docs/operations.md").partition("\n## Health\n")[2].partition("\n## ")[0]
    kinds = r'"((?:sagas|orders|payments|reservations|parts|not)_[a-z_]+)"'
    found = set(re.findall(kinds, (ROOT / "reconciliation" / "sweep.py").read_text(encoding="utf-8")))
    assert len(found) == 9
    assert [name for name in sorted({*Health.model_fields, *found, "not_well_since"}) if name not in section] == []


def test_the_readme_names_every_room() -> None:
    from tests.architecture.test_rooms import MAY_IMPORT  # noqa: PLC0415

    listed = {re.sub(r"\[(.*?)/?\]\(.*\)", r"\1", cells[0]) for cells in rows("README.md", "Room")}
    assert {room for room in MAY_IMPORT if not {room, room.split("/")[0]} & listed} == set()


def test_the_architecture_s_page_has_the_rules_of_the_rooms() -> None:
    from tests.architecture.test_rooms import MAY_IMPORT  # noqa: PLC0415

    listed = {
        room.strip("`"): set(re.findall(r"`([\w/]+)`", allowed)) - {"Mail"}
        for room, allowed in rows("docs/architecture.md", "Room")
    }
    assert listed == {room: allowed - {room} for room, allowed in MAY_IMPORT.items()}


def test_the_rooms_of_devhost_are_the_listed_ones() -> None:
    from tests.architecture.test_rooms import DEVHOST_MAY_IMPORT  # noqa: PLC0415

    listed = {
        room.strip("`"): set(re.findall(r"`(\w+)`", may)) for room, _, may in rows("docs/devhost.md", "Room of devhost")
    }
    assert list(listed.items()) == [each for each in DEVHOST_MAY_IMPORT.items() if each[0] != "devhost"]


def test_the_modules_that_the_page_of_devhost_names_are_there() -> None:
    text = (ROOT / "docs" / "devhost.md").read_text(encoding="utf-8")
    internals = text[text.index("### The rooms") : text.index("## Speed")]
    named = set(re.findall(r"`([a-z_]+)`", internals))
    modules = {
        file.relative_to(ROOT / "devhost").with_suffix("").as_posix() for file in (ROOT / "devhost").rglob("*.py")
    }
    there = {path.rpartition("/")[2] for path in modules} | {path.partition("/")[0] for path in modules}
    assert named - there == set()


def test_the_options_of_devhost_are_the_listed_ones() -> None:
    source = (ROOT / "devhost" / "__main__.py").read_text(encoding="utf-8")
    taken = set(re.findall(r'"(--[\w-]+)"', source))
    listed = {cells[0].strip("`").split()[0] for cells in rows("docs/devhost.md", "Option")}
    assert listed == taken


def test_the_page_of_the_sandbox_lists_each_payment_method_with_its_decline() -> None:
    from sandbox.payments.cards import METHODS  # noqa: PLC0415

    listed = {
        method: re.findall(r"`(\w+)`", reason)[1:]
        for methods, _, reason in rows("docs/sandbox.md", "Payment method")
        for method in re.findall(r"`(\w+)`", methods)
    }
    declines = {name: method.decline for name, method in METHODS.items()}
    assert listed == {
        name: [decline.decline_code or decline.code] if decline else [] for name, decline in declines.items()
    }


def test_the_picture_names_what_is_there() -> None:
    picture = ElementTree.parse(ROOT / "docs" / "order-saga.svg").getroot()
    texts = {text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")}
    listed = {cells[0].strip("`").replace("Dev", "") for cells in rows("docs/operations.md", "Table")}
    assert texts & listed == listed - {"OrderSagaInstances"}
