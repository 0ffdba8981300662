"""The README is run: its commands are sent to the product, and what they answer is compared with what is printed.

How the README is read: a `sh` block with a curl to 127.0.0.1 is followed by a `json` block, its answer. In an answer
`…` stands for any text, the value "…" for any value, "…": "…" for further fields, and "…" in a list for further
entries. A GET is asked again until it answers as printed, because a reader, too, looks a moment later. A chapter that
starts the product with settings (`NAME=value … python3 dev.py start`) is run on a product of its own that has them.

curl itself is not run: not every machine has one. Of its options the ones that the README uses are read here, and any
other is an error. Names that the README quotes (files, verbs, routes, tables and their columns) are held to what
is there.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from azure.data.tables import TableServiceClient

import dev
from tests.product import Product
from tests.servers import FreePorts

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
each_doc = pytest.mark.parametrize("doc", DOCS, ids=lambda doc: doc.name)

ANY = "…"
PATIENCE_S = 30
# Made by running the product, so not in the repository.
MADE_BY_RUNNING = {".local/", ".venv", "local.settings.json", "DIR/urls.json", "urls.json", "taskhub.json"}


class Block(NamedTuple):
    """A fenced block: its language and its text."""

    language: str
    text: str


Settings = tuple[tuple[str, str], ...]


class Example(NamedTuple):
    """One curl command and its printed answer; `settings` is what its chapter starts the product with."""

    command: str
    answer: str
    settings: Settings

    @property
    def title(self) -> str:
        words = shlex.split(self.command)
        return " ".join(word for word in words if not word.startswith(("{", "Content-Type")))


def blocks(text: str) -> list[Block]:
    fenced = re.finditer(r"^( *)```(\w*)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    return [Block(language, body) for _, language, body in (match.groups() for match in fenced)]


def chapters(text: str) -> list[str]:
    return re.split(r"^(?=## )", text, flags=re.MULTILINE)


def examples(chapter: str) -> Iterator[Example]:
    found, settings = blocks(chapter), started_with(chapter)
    for block, following in zip(found, [*found, Block("", "")][1:], strict=True):
        if block.language == "sh" and "curl" in block.text and dev.LOOPBACK in block.text:
            assert following.language == "json", f"no answer is printed after: {block.text}"
            yield Example(block.text.strip(), following.text, settings)


def started_with(chapter: str) -> Settings:
    command = re.search(r"^((?:\w+=\S+ )+)python3 dev\.py start$", chapter, re.MULTILINE)
    return (
        tuple((name, value) for name, _, value in (word.partition("=") for word in command[1].split()))
        if command
        else ()
    )


EXAMPLES = [example for chapter in chapters(README) for example in examples(chapter)]
TOUR = next(example.settings for example in EXAMPLES if example.settings)


# ------------------------------------------------------------------------------------------------- running the commands


@pytest.fixture(scope="module")
def products(
    product: Product, ports: FreePorts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Settings, Product]]:
    """The product of the session, and one for the tour, by the settings that they were started with."""
    toured = Product(tmp_path_factory.mktemp("tour"), ports(dev.PORTS_IN_A_ROW), **dict(TOUR))
    try:
        yield {(): product, TOUR: toured.start()}
    finally:
        toured.end()
        product.faults("payments")
        product.faults("mail")


@pytest.fixture(scope="module")
def ran(products: Mapping[Settings, Product]) -> dict[Example, Any]:
    """Every example, run in the order of the README as its reader would; what each answered."""
    return {example: answered(moved(example, products[example.settings].urls)) for example in EXAMPLES}


def moved(example: Example, urls: Mapping[str, str]) -> Example:
    """The example with the addresses that the product has, in place of the well-known ones of the README."""
    command, answer, settings = example
    known = dev.Ports()
    for name, port in {"host": known.host, "payments": known.payments, "mail": known.mail}.items():
        command, answer = (text.replace(dev.address(port), urls[name]) for text in (command, answer))
    return Example(command, answer, settings)


def answered(example: Example) -> Any:
    """What the command answers. A GET may take until it answers as printed; its last answer is returned in any case."""
    curl, expected = read_curl(example.command), json.loads(example.answer)
    answer = send(curl)
    if curl.method == "GET":
        dev.wait_until(lambda: is_as_printed(send(curl), expected), PATIENCE_S)
        answer = send(curl)
    return {"answer": answer, "expected": expected}


class Curl(NamedTuple):
    method: str
    url: str
    body: bytes | None
    headers: dict[str, str]


def read_curl(command: str) -> Curl:
    parser = argparse.ArgumentParser("curl", exit_on_error=False)
    parser.add_argument("url")
    parser.add_argument("-X", dest="method")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", dest="body")
    program, *words = shlex.split(command)
    assert program == "curl", command
    given = parser.parse_args(words)
    headers = dict(header.split(": ", 1) for header in given.headers)
    body = None if given.body is None else given.body.encode()
    return Curl(given.method or ("GET" if body is None else "POST"), given.url, body, headers)


def send(curl: Curl) -> Any:
    return dev.fetch(curl.url, curl.method, curl.body, curl.headers).json()


# --------------------------------------------------------------------------------------------- comparing with the print


def is_as_printed(actual: Any, printed: Any) -> bool:
    if printed == ANY:
        return True
    if isinstance(printed, dict):
        return isinstance(actual, dict) and fields_are_as_printed(actual, printed)
    if isinstance(printed, list):
        return isinstance(actual, list) and entries_are_as_printed(actual, printed)
    if isinstance(printed, str):
        return (
            isinstance(actual, str) and re.fullmatch(".*".join(map(re.escape, printed.split(ANY))), actual) is not None
        )
    return type(actual) is type(printed) and bool(actual == printed)


def fields_are_as_printed(actual: Mapping[str, Any], printed: Mapping[str, Any]) -> bool:
    named = printed.keys() - {ANY}
    if not (named <= actual.keys() if ANY in printed else named == actual.keys()):
        return False
    return all(is_as_printed(actual[name], printed[name]) for name in named)


def entries_are_as_printed(actual: Sequence[Any], printed: Sequence[Any]) -> bool:
    """Where a list is printed with "…", its entries stand in this order, others perhaps between them."""
    if ANY not in printed:
        return len(actual) == len(printed) and all(map(is_as_printed, actual, printed))
    rest = iter(actual)
    return all(any(is_as_printed(entry, wanted) for entry in rest) for wanted in printed if wanted != ANY)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_a_command_of_the_readme_answers_as_printed(example: Example, ran: Mapping[Example, Any]) -> None:
    was = ran[example]
    assert is_as_printed(was["answer"], was["expected"]), json.dumps(was["answer"], indent=2)


def test_the_readme_shows_every_kind_of_order_stock_health_a_list_and_a_fault() -> None:
    commands = " ".join(example.command for example in EXAMPLES)
    parts = (
        "/api/orders",
        "/api/inventory/",
        "/api/health",
        "?status=",
        "/cancel",
        "/approval",
        "/retry",
        "/sandbox/faults",
    )
    assert [part for part in parts if part not in commands] == []
    shown = {json.loads(example.answer).get("status") for example in EXAMPLES if example.answer.startswith("{")}
    assert {"completed", "compensated", "awaiting_approval", "needs_attention"} <= shown


@pytest.mark.usefixtures("ran")
def test_the_lost_answer_of_the_readme_is_one_charge(product: Product) -> None:
    events = [entry["event"] for entry in product.ledger("table-1")]
    assert events == ["payment_intent.created", "payment_intent.succeeded"]


@pytest.mark.usefixtures("ran")
def test_the_refund_of_the_tour_is_one_refund(products: Mapping[Settings, Product]) -> None:
    events = [entry["event"] for entry in products[TOUR].ledger("armchair-4")]
    assert events == ["payment_intent.created", "payment_intent.succeeded", "refund.succeeded"]


@pytest.mark.usefixtures("ran")
def test_the_audit_trail_of_the_tour_is_the_printed_one(products: Mapping[Settings, Product]) -> None:
    wanted = "PartitionKey eq 'armchair-4' and RowKey ge 'audit:' and RowKey lt 'audit;'"
    with stored_in(products[TOUR]) as account:
        trail = list(account.get_table_client("orders").query_entities(wanted))
    told = rows("Event")
    assert [f"`{row['Event']}`" for row in trail] == [cells[0] for cells in told]
    for row, (_, says) in zip(trail, told, strict=True):
        facts = dict(re.findall(r"`(\w+)`(?: ([^`]+?))?(?:, (?=`)|$)", says))
        assert facts.keys() == row.keys() - {"PartitionKey", "RowKey", "At", "Event"}
        assert {name: str(row[name]) for name, value in facts.items() if value} == {n: v for n, v in facts.items() if v}


@pytest.mark.parametrize(
    ("actual", "printed"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1, "b": 2}, {"a": 1}),
        ({"a": 1}, {"a": 1, "b": 2, ANY: ANY}),
        ([1, 2], [1]),
        ([2, 1], [ANY, 1, 2, ANY]),
        ("pi_1", "re_…"),
        (True, 1),
    ],
)
def test_an_answer_that_differs_from_the_printed_one_is_seen(actual: object, printed: object) -> None:
    assert not is_as_printed(actual, printed)


# ------------------------------------------------------------------------------------------- what the documents name


@each_doc
def test_every_link_and_every_path_in_a_document_leads_somewhere(doc: Path) -> None:
    text = doc.read_text(encoding="utf-8")
    links = {link.partition("#")[0] for link in re.findall(r"\]\((?!https?:)([^)]*)\)", text)} - {""}
    assert [link for link in sorted(links) if not (doc.parent / link).exists()] == []
    assert [path for path in sorted(named_paths(text)) if not (ROOT / path).exists()] == []


def named_paths(text: str) -> set[str]:
    """What stands in backticks and looks like a file or a folder of this repository."""
    quoted = set(re.findall(r"`([\w.][\w./-]*(?:/|\.(?:py|md|json|txt|example|ttf)))`", text))
    return quoted - MADE_BY_RUNNING


@each_doc
def test_every_heading_that_is_linked_to_is_there(doc: Path) -> None:
    text = doc.read_text(encoding="utf-8")
    heads = (re.sub(r"[^\w -]", "", head) for head in re.findall(r"^#+ (.*)", text, re.MULTILINE))
    anchors = {head.lower().replace(" ", "-") for head in heads}
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= anchors


@each_doc
def test_every_verb_of_dev_py_that_a_document_names_exists(doc: Path) -> None:
    for words in re.findall(r"dev\.py ([a-z]+(?: --no-host)?)", doc.read_text(encoding="utf-8")):
        assert dev.parse(words.split()).run


@each_doc
def test_a_document_has_no_gaps_to_fill(doc: Path) -> None:
    assert not re.search(r"\b(TODO|FIXME|TBD|XXX)\b", doc.read_text(encoding="utf-8"))


def rows(first_head: str) -> list[list[str]]:
    """The rows of the README's table whose first heading is this, as cells."""
    table = re.search(rf"^\| {first_head} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", README, re.MULTILINE)
    assert table is not None, f"the README has no table of {first_head}"
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[1].splitlines()]


def test_the_readme_lists_every_route_with_its_key() -> None:
    listed = {(cells[0].strip("`"), cells[1]) for cells in rows("Route")}
    assert listed == set(routes())


def routes() -> Iterator[tuple[str, str]]:
    source = ast.parse((ROOT / "function_app.py").read_text(encoding="utf-8"))
    for node in ast.walk(source):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "app.route":
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            route, methods = ast.literal_eval(given["route"]), ast.literal_eval(given["methods"])
            level = given.get("auth_level", "FUNCTION").rpartition(".")[2].lower()
            yield from ((f"{method} /api/{route}", level) for method in methods)


def test_the_readme_lists_the_steps_as_the_saga_has_them() -> None:
    from orchestrators import steps  # noqa: PLC0415

    named = [step for step in vars(steps).values() if isinstance(step, steps.Step)]
    in_order = [step for step in named if step != steps.CLOSE_ORDER]
    assert len(rows("Step \\| Activity")) == len(in_order)
    for step, (_, activity, undo, operation, deadline) in zip(in_order, rows("Step \\| Activity"), strict=True):
        assert activity == f"`{step.activity}`"
        assert undo.startswith(f"`{step.undo}`" if step.undo else "none: ")
        assert operation == f"`{step.operation_id('<order id>')}`"
        assert deadline == f"{step.deadline_s:.0f} s"


@pytest.mark.usefixtures("ran")
@pytest.mark.parametrize("cells", rows("Table"), ids=lambda cells: cells[0].strip("`"))
def test_the_columns_to_look_at_are_there(cells: list[str], product: Product) -> None:
    columns = set(re.findall(r"`([^`]+)`", cells[2]))
    orders = [f"{key} eq '{order}'" for order in ("armchairs-1", "armchairs-2") for key in ("PartitionKey", "OrderId")]
    wanted = " or ".join([*orders, "PartitionKey eq 'table-1'", "PartitionKey eq 'stock'"])
    with stored_in(product) as account:
        table = account.get_table_client(cells[0].strip("`"))
        stored = {name for row in table.query_entities(wanted) for name in row}
    assert columns and columns <= stored


def stored_in(product: Product) -> closing[TableServiceClient]:
    return closing(TableServiceClient.from_connection_string(product.urls["storage_connection_string"]))
