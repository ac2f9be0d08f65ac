"""
Access tokens: of an app of one's own, and of a store app, which needs a ticket first.

Token endpoints answer at top level. Source: docs/reference/platform.md, "Access tokens" and "Store apps".
"""

from collections.abc import Mapping
from typing import Any

from shared.core.ids import TenantKey
from simulator.apis.calling import Calling
from simulator.platform import AppTicket
from simulator.refusals import Refused
from simulator.tokens import AccessToken


def tenant_access_token_internal(calling: Calling) -> Mapping[str, Any]:
    """Issue the tenant access token of an app of one's own."""
    return _answer("tenant_access_token", _of_ones_own(calling), calling)


def app_access_token_internal(calling: Calling) -> Mapping[str, Any]:
    """Issue the app access token, which for an app of one's own is the tenant's."""
    token = _of_ones_own(calling)
    return {**_answer("app_access_token", token, calling), "tenant_access_token": token.value}


def app_access_token(calling: Calling) -> Mapping[str, Any]:
    """Issue a store app's access token for a ticket that was pushed to it."""
    body, tokens = calling.body, calling.platform.access_tokens
    tokens.check_credentials(body.get("app_id"), body.get("app_secret"))
    calling.app_id = tokens.app.app_id
    return _answer("app_access_token", tokens.issue_to_app(body.get("app_ticket"), now=calling.now), calling)


def tenant_access_token(calling: Calling) -> Mapping[str, Any]:
    """Issue the tenant access token of a store app, for one of the tenants that have it."""
    body, platform = calling.body, calling.platform
    given, tenant_key = body.get("app_access_token"), body.get("tenant_key")
    if not isinstance(tenant_key, str) or not isinstance(given, str) or not given or not tenant_key:
        raise Refused(10003)
    calling.target = tenant_key
    platform.access_tokens.check_app(given, now=calling.now)
    calling.app_id = platform.app.app_id
    if tenant_key not in platform.tenants():
        raise Refused(10013)
    return _answer(
        "tenant_access_token", platform.access_tokens.of_tenant(TenantKey(tenant_key), now=calling.now), calling
    )


def resend_app_ticket(calling: Calling) -> Mapping[str, Any]:
    """Push another ticket to a store app, soon after this is answered."""
    body, platform = calling.body, calling.platform
    platform.access_tokens.check_credentials(body.get("app_id"), body.get("app_secret"))
    calling.app_id = platform.app.app_id
    if not platform.app.is_store:
        raise Refused(10016)
    platform.owed.append(AppTicket(ticket=platform.access_tokens.new_ticket(now=calling.now)))
    return {"code": 0, "msg": "success"}


def _of_ones_own(calling: Calling) -> AccessToken:
    body, platform = calling.body, calling.platform
    token = platform.access_tokens.issue(body.get("app_id"), body.get("app_secret"), now=calling.now)
    calling.app_id = platform.app.app_id
    return token


def _answer(name: str, token: AccessToken, calling: Calling) -> Mapping[str, Any]:
    left_s = (token.expires_at - calling.now) // 1000
    return {"code": 0, "msg": "ok", name: token.value, "expire": left_s}
