"""What limits count a call as."""

import pytest

from shared.core.effects.returning import Method
from shared.feishu.api_names import NAMES, OTHER, SHARES, api_of, shown_api
from simulator.apis.routes import route


@pytest.mark.parametrize(("method", "path"), list(NAMES), ids=lambda given: given)
def test_an_api_that_we_call_ourselves_is_counted_with_our_own_calls(method: Method, path: str) -> None:
    """The fake platform, written from the documents, knows the same paths by the same names."""
    asked = path.replace(":id", "om_dc13264520392913993dd051dba21dcf")
    assert route(method, asked).api.name == NAMES[method, path] == api_of(method, asked)


def test_other_apis_on_the_same_kind_of_things_are_one_whatever_their_ids_look_like() -> None:
    """A thousand reactions, or people by name, are one API; what is done otherwise, or to other things, is another."""
    people = {api_of("GET", f"/open-apis/contact/v3/users/{who}") for who in ("zhang", "ou_1", "a7", "李")}
    assert 1 == len(people)
    others = [("DELETE", "contact/v3/users/zhang"), ("GET", "contact/v3/departments/x"), ("GET", "contact/v4/users/x")]
    assert people.isdisjoint(api_of(method, f"/open-apis/{path}") for method, path in others)  # type: ignore[arg-type]


def test_nothing_of_a_path_that_a_handler_wrote_is_in_a_name_and_names_are_few() -> None:
    """They are rows and labels: a person's name in a path is nobody's business, and paths are without number."""
    names = {api_of("GET", f"/open-apis/zhang{n}/of/{n * 'x'}/{n}/y") for n in range(2_000)}
    names |= {api_of("GET", f"/open-apis/{'x' * n}/{'y' * n}/{'z' * n}") for n in range(2_000)}
    assert {f"other/{n}" for n in range(SHARES)} == names
    assert {OTHER} == {shown_api(name) for name in names}
    assert {shown_api(name) for name in NAMES.values()} == set(NAMES.values())
