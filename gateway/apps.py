"""The apps of a gateway: whose handlers answer, at which paths, by which keys."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.accept import Gate
from gateway.admission import Admission, Admits
from gateway.answer import Answers
from gateway.append import Appender
from gateway.credentials import Credentials
from gateway.settings import GatewayApp
from shared.app.app import App
from shared.clock import Clock
from shared.core.errors import ConfigError
from shared.core.ids import AppId
from shared.eventlog.port import Topics
from shared.observability.metrics import Metrics
from shared.observability.traces import Traces
from shared.settings import respelled

SHORT_PATHS: Final = ("/webhook/card", "/webhook/event", "/card", "/event")
"""Of the only app: ours, and those of the platform's tutorials. All the same: the body says what it is."""


def paths(name: str | None) -> Sequence[str]:
    """Return where an app's callbacks are received."""
    return SHORT_PATHS if name is None else (f"/webhook/{name}/card", f"/webhook/{name}/event")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """Makes the gates of all apps, with what they have in common."""

    handlers: Mapping[AppId, App]
    appender: Appender
    topics: Topics
    clock: Clock
    metrics: Metrics
    traces: Traces | None = None
    _answers: dict[int, Answers] = field(default_factory=dict)

    def gate(self, told: GatewayApp, admission: Admits) -> Gate:
        """
        Return a gate of an app for one of its front ends.

        Raises:
            ConfigError: An answer that its handlers declare is too large to be shown.
        """
        app = self.handlers[told.app_id]
        with in_words_of(told):
            # Apps with the same handlers share the threads in which these make answers.
            answers = self._answers.get(id(app)) or Answers(app, metrics=self.metrics)
        self._answers[id(app)] = answers
        return Gate(
            app_id=told.app_id,
            name=told.name,
            admission=admission,
            app=app,
            answers=answers,
            appender=self.appender,
            topics=self.topics,
            clock=self.clock,
            metrics=self.metrics,
            keep_callback=told.recording.keep_callback,
            keep_form_value=told.recording.keep_form_value,
            traces=self.traces,
        )

    def close(self) -> None:
        """Let the threads end in which answers were made."""
        for answers in self._answers.values():
            answers.close()


class WebhookApps:
    """
    The apps whose callbacks come by webhook: a gate for each, and the keys of each gate, which may change meanwhile.

    Raises:
        ConfigError: An app has no key to tell the platform by.
    """

    def __init__(self, apps: Sequence[GatewayApp], make: Callable[[GatewayApp, Admits], Gate]) -> None:
        self._credentials: dict[AppId, Credentials] = {}
        self._gates: dict[AppId, Gate] = {}
        self.routes: dict[str, Gate] = {}
        for told in apps:
            if told.callbacks.delivery == "websocket":
                continue
            with in_words_of(told):
                credentials = Credentials.of(told.app_id, told.callbacks)
            gate = make(told, Admission(credentials))
            self._credentials[told.app_id], self._gates[told.app_id] = credentials, gate
            self.routes |= dict.fromkeys(paths(told.name), gate)

    def renew(self, apps: Sequence[GatewayApp]) -> None:
        """Let each app's gate go by the keys that are told now; what else changed is for the next start."""
        for told in apps:
            before = self._credentials.get(told.app_id)
            if before is None:
                continue
            callbacks = told.callbacks
            after = replace(
                before, encrypt_keys=callbacks.encrypt_keys, verification_tokens=callbacks.verification_tokens
            )
            if after != before:
                self._credentials[told.app_id] = after
                self._gates[told.app_id].admit_by(Admission(after))


@contextmanager
def in_words_of(told: GatewayApp) -> Iterator[None]:
    """Let what is wrong with an app name it, if there are several."""
    try:
        yield
    except ConfigError as error:
        if told.name is None:
            raise
        raise ConfigError(respelled(str(error), told.name)) from error
