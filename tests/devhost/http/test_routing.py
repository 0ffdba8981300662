"""Which function takes a request: templates, constraints and their order, as ASP.NET has them."""

from typing import Any

import pytest

from devhost.http import routing


def route(template: str, *methods: str, prefix: str = "api") -> routing.Route:
    return routing.compile_route(prefix, {"name": "f", "route": template, "methods": list(methods)})


def described(name: str, template: str, *methods: str) -> dict[str, Any]:
    return {"name": name, "route": template, "methods": list(methods)}


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("orders/{id}", "/api/orders/7", {"id": "7"}),
        ("orders/{id}", "/API/Orders/7/", {"id": "7"}),
        ("orders/{id}", "/api/orders", None),
        ("orders/{id?}", "/api/orders", {}),
        ("orders/{id=all}", "/api/orders", {"id": "all"}),
        ("orders/{id:int}", "/api/orders/x", None),
        ("orders/{id:int}", "/api/orders/99999999999", None),
        ("orders/{id:long}", "/api/orders/99999999999", {"id": "99999999999"}),
        (
            "orders/{id:guid}",
            "/api/orders/0f8fad5b-d9cb-469f-a165-70867728950e",
            {"id": "0f8fad5b-d9cb-469f-a165-70867728950e"},
        ),
        ("orders/{id:length(2,3)}", "/api/orders/abcd", None),
        ("orders/{id:range(1,5)}", "/api/orders/5", {"id": "5"}),
        ("orders/{id:min(1):max(5)}", "/api/orders/6", None),
        ("orders/{id:alpha:minlength(2)}", "/api/orders/ab", {"id": "ab"}),
        ("orders/{id:regex(^a{{1}}b$)}", "/api/orders/ab", {"id": "ab"}),
        ("orders/{id:bool}", "/api/orders/TRUE", {"id": "TRUE"}),
        ("orders/{id:datetime}", "/api/orders/2026-01-01", {"id": "2026-01-01"}),
        ("orders/{id:float}", "/api/orders/-1.5e3", {"id": "-1.5e3"}),
        ("orders/{id:decimal}", "/api/orders/1_000", None),
        ("orders/{id:decimal}", "/api/orders/nan", None),
        ("orders/{id:guid}", "/api/orders/urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e", None),
        (
            "orders/{id:guid}",
            "/api/orders/0f8fad5bd9cb469fa16570867728950e",
            {"id": "0f8fad5bd9cb469fa16570867728950e"},
        ),
        ("a-{x}.{y}", "/api/a-one.two", {"x": "one", "y": "two"}),
        ("{*rest}", "/api/a/b", {"rest": "a/b"}),
        ("{**rest}", "/api", {}),
        ("orders/{id}", "/api/orders/%C5%81%20x", {"id": "Ł x"}),
    ],
)
def test_a_template_takes_what_asp_net_would_take(template: str, path: str, values: dict[str, str] | None) -> None:
    assert route(template).match("GET", path) == values


def test_a_wrong_verb_is_no_match_and_no_verbs_are_all() -> None:
    assert route("x", "GET", "POST").match("PUT", "/api/x") is None
    assert route("x").match("OPTIONS", "/api/x") == {}


def test_an_empty_prefix_leaves_the_route_alone() -> None:
    assert route("x", prefix="").match("GET", "/x") == {}


def test_routes_are_tried_in_the_order_of_their_functions_names_case_aside() -> None:
    names = ["search", "Any_user", "anyuser", "latest", "b", "Az", "aa", "a1"]
    routes = routing.build("api", [described(name, f"{{{name}}}") for name in names])
    # As .NET compares: in upper case, where an underscore comes after the letters and digits before them.
    assert [each.function["name"] for each in routes] == [
        "a1",
        "aa",
        "anyuser",
        "Any_user",
        "Az",
        "b",
        "latest",
        "search",
    ]


def test_the_first_function_by_name_wins_whatever_was_declared_first() -> None:
    functions = [described(name, template) for name, template in (("one", "orders/{id}"), ("latest", "orders/latest"))]
    for each in (functions, functions[::-1]):
        match = routing.find(routing.build("api", each), "GET", "/api/orders/latest")
        assert match and match[0].function["name"] == "latest"


def test_one_template_may_serve_two_verbs_but_not_one_verb_twice() -> None:
    assert len(routing.build("api", [described("a", "x", "GET"), described("b", "x", "POST")])) == 2
    with pytest.raises(routing.BadRoute, match="conflicts with the route defined by function 'a'"):
        routing.build("api", [described("a", "x", "GET"), described("b", "X", "GET", "PUT")])


def test_an_unknown_constraint_is_refused() -> None:
    with pytest.raises(routing.BadRoute, match="'colour' is not known"):
        route("x/{y:colour}")
