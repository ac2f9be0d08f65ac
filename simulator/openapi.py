"""
The OpenAPI: one call in, one answer out.

Every call is traced, counted and judged here; which API a path is stands in `simulator.apis.routes`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.apis.calling import Calling
from simulator.apis.routes import Api, Route, route
from simulator.cards import DEEPEST, TOO_DEEP, is_too_deep
from simulator.history import CallSeen
from simulator.platform import Platform
from simulator.refusals import FREQUENCY_LIMIT, Refused
from simulator.wire_json import any_json, json_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """A call as it arrived."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    authorization: str | None = field(default=None, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiAnswer:
    """An answer as it leaves. Its body is JSON."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class OpenApi:
    """
    Answers calls on one `Platform`.

    A refusal changes nothing but counters. Every answer carries ``X-Tt-Logid``, and a refusal repeats it in its
    body, as production does. Sources: docs/reference/platform.md, "Calling the OpenAPI" and "Rate limits".
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def call(self, call: ApiCall, *, fault: str | None = None) -> ApiAnswer:
        """
        Do what a call asks for and answer it.

        Args:
            call: The call.
            fault: An injected fault that concerns this call, for the trace. A call that the network doubled is
                neither counted nor judged: its caller did nothing wrong.
        """
        found = route(call.method, call.path)
        calling = self._begun(call, found, is_counted=fault != "duplicate")
        log_id = self._platform.names.log(calling.now)
        try:
            content = self._perform(call, found.api, calling)
            answer = ApiAnswer(status=200, headers={"X-Tt-Logid": log_id}, body=json_bytes(content))
            code = 0
        except Refused as refused:
            code = refused.code
            answer = _refusal(refused, log_id)
        self._trace(call, calling, code=code, status=answer.status, fault=fault)
        return answer

    def refuse(self, call: ApiCall, refused: Refused, *, fault: str) -> ApiAnswer:
        """Answer a call with an injected refusal; nothing is done and nothing is judged."""
        calling = self._begun(call, route(call.method, call.path))
        answer = _refusal(refused, self._platform.names.log(calling.now))
        self._trace(call, calling, code=refused.code, status=answer.status, fault=fault)
        return answer

    def drop(self, call: ApiCall, *, fault: str) -> None:
        """Note a call whose connection was dropped before anything was done."""
        self._trace(call, self._begun(call, route(call.method, call.path)), code=None, status=None, fault=fault)

    def _begun(self, call: ApiCall, found: Route, *, is_counted: bool = True) -> Calling:
        return Calling(
            platform=self._platform, query=call.query, now=self._platform.clock.now(), api=found.api.name,
            inside=found.inside, target=next(iter(found.inside.values()), None), is_counted=is_counted,
        )  # fmt: skip

    def _perform(self, call: ApiCall, api: Api, calling: Calling) -> Mapping[str, Any]:
        if not api.is_public:
            calling.tenant_key = self._platform.access_tokens.check(call.authorization, now=calling.now)
            calling.app_id = self._platform.app.app_id
            self._count(calling)
        calling.body = _body(call)
        return api.perform(calling)

    def _count(self, calling: Calling) -> None:
        platform = self._platform
        if not calling.is_counted:
            return
        rate = platform.limits.of(calling.api)
        # Limits count real time, also when the platform's clock is moved.
        wall = platform.clock.wall()
        key = (calling.api, calling.app_id, calling.tenant_key)
        in_second = platform.by_second.count(key, rate.per_second, now=wall)
        in_minute = platform.by_minute.count(key, rate.per_minute, now=wall)
        if in_minute is not None:
            calling.note("api_per_minute")
            raise Refused(FREQUENCY_LIMIT, wait_s=in_minute.wait_s, quota=in_minute.quota)
        if in_second is not None:
            calling.note("api_per_second")
            raise Refused(FREQUENCY_LIMIT, wait_s=in_second.wait_s, quota=in_second.quota)

    def _trace(
        self, call: ApiCall, calling: Calling, *, code: int | None, status: int | None, fault: str | None
    ) -> None:
        calls = self._platform.history.calls
        calls.add(
            CallSeen(
                n=calls.next_n(), at_ms=calling.now, method=call.method, path=call.path, api=calling.api,
                app_id=calling.app_id, tenant_key=calling.tenant_key or None,
                target=calling.target, code=code, status=status, fault=fault,
            )
        )  # fmt: skip


def _body(call: ApiCall) -> Mapping[str, Any]:
    # The official SDK's token calls carry no Content-Type, so only the bytes count.
    if not call.body:
        return {}
    try:
        content = any_json(call.body)
    except ValueError as error:
        raise Refused(99992402, "the body is not JSON") from error
    if not isinstance(content, dict):
        raise Refused(99992402, "the body is not a JSON object")
    if call.body.count(b"{") + call.body.count(b"[") > DEEPEST and is_too_deep(content):
        raise Refused(99992402, f"the body is {TOO_DEEP}")
    return content


def _refusal(refused: Refused, log_id: str) -> ApiAnswer:
    headers = {"X-Tt-Logid": log_id}
    if refused.wait_s is not None:
        headers["x-ogw-ratelimit-limit"] = str(refused.quota)
        headers["x-ogw-ratelimit-reset"] = str(refused.wait_s)
    error = {"log_id": log_id, "troubleshooter": f"https://open.feishu.cn/search?log_id={log_id}&code={refused.code}"}
    body = json_bytes({"code": refused.code, "msg": refused.message, "error": error})
    return ApiAnswer(status=refused.http_status, headers=headers, body=body)
