"""What limits count a call as."""

import pytest

from shared.core.effects.returning import Method
from shared.feishu.api_names import NAMES, api_of
from simulator.apis.routes import route


@pytest.mark.parametrize(("method", "path"), list(NAMES), ids=lambda given: given)
def test_an_api_that_we_call_ourselves_is_counted_with_our_own_calls(method: Method, path: str) -> None:
    """The fake platform, written from the documents, knows the same paths by the same names."""
    asked = path.replace(":id", "om_dc13264520392913993dd051dba21dcf")
    assert route(method, asked).api.name == NAMES[method, path] == api_of(method, asked)


@pytest.mark.parametrize(
    ("method", "path", "api"),
    [
        ("POST", "/open-apis/im/v1/pins", "POST /open-apis/im/v1/pins"),
        ("DELETE", "/open-apis/im/v1/pins/om_abc", "DELETE /open-apis/im/v1/pins/:id"),
        (
            "DELETE",
            "/open-apis/im/v1/messages/om_1/reactions/ZCaCIjUBVVWSrm5L",
            "DELETE /open-apis/im/v1/messages/:id/reactions/:id",
        ),
        ("GET", "/open-apis/contact/v3/users/batch_get_id", "GET /open-apis/contact/v3/users/batch_get_id"),
    ],
)
def test_any_other_is_counted_by_its_path_without_ids(method: Method, path: str, api: str) -> None:
    """A thousand reactions are one API, and versions are no ids."""
    assert api == api_of(method, path)
