"""
Look for bytes that break the wire rules: ``make fuzz``, or ``python -m tests.fuzz``.

Each target is a process of its own, two at a time. What breaks one is kept in its folder of ``corpus``, where the
ordinary suite fails on it until it is mended, and guards it afterwards.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Final

CORPUS: Final = Path(__file__).parent / "corpus"
SECONDS: Final = 60
AT_ONCE: Final = 2
MAX_BYTES: Final = 8192
MAX_KEPT_BYTES: Final = 1024
ONE_INPUT_S: Final = 10
WORDS: Final = (
    "schema", "header", "event", "event_id", "event_type", "token", "create_time", "tenant_key", "app_id", "operator",
    "open_id", "action", "value", "form_value", "input_value", "option", "options", "checked", "tag", "name",
    "timezone", "context", "open_message_id", "open_chat_id", "preview_token", "url", "host", "delivery_type",
    "encrypt", "challenge", "type", "uuid", "ts", "url_verification", "event_callback", "card.action.trigger",
    "url.preview.get", "app_ticket", "2.0", "config", "update_multi", "template", "data", "card", "code", "items",
    "message_id", "sum", "seq", "URL", "service_id", "ClientConfig", "ReconnectCount", "PingInterval", "expire",
    "request_id", "effects", "kind", "UpdateCard", "SendCard", "SendText", "RenameChat", "text", "to", "chat_id",
)  # fmt: skip
"""What a mutation would take long to come upon."""


def main() -> int:
    """Fuzz all targets for as long as told, or a single one in this process."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="for all targets together")
    parser.add_argument("--target", help="this one alone")
    parser.add_argument("--keep", action="store_true", help="add the inputs that reached something new to the corpus")
    parser.add_argument("--within", type=Path, help=argparse.SUPPRESS)
    asked, further = parser.parse_known_args()
    if asked.within is not None:
        _fuzz(asked.target, asked.within, further or _flags(asked.target, asked.within, asked.seconds, keep=asked.keep))
    if further:
        parser.error(f"unknown: {' '.join(further)}")
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415 -- a fuzzing process loads it under its instruments

    names = [asked.target] if asked.target else list(TARGETS)
    with tempfile.TemporaryDirectory() as folder:
        return _all(names, Path(folder), max(1, asked.seconds * AT_ONCE // len(names)), keep=asked.keep)


def _all(names: Sequence[str], folder: Path, seconds: int, *, keep: bool) -> int:
    _write_starts(names, folder)

    def one(name: str) -> int:
        ended = _process(name, folder, seconds)
        if keep and ended == 0:
            return _process(name, folder, seconds, "--keep")
        return ended

    with ThreadPoolExecutor(AT_ONCE) as pool:
        ended = dict(zip(names, pool.map(one, names), strict=True))
    for name, code in ended.items():
        print(f"{name}: {'nothing found' if code == 0 else f'broken, see tests/fuzz/corpus/{name}'}")
    return int(any(ended.values()))


def _write_starts(names: Iterable[str], folder: Path) -> None:
    from tests.fuzz.starts import starts  # noqa: PLC0415 -- as above

    for name in names:
        (folder / name).mkdir()
        (CORPUS / name).mkdir(parents=True, exist_ok=True)
    for name, data in starts():
        if name in names:
            (folder / name / sha256(data).hexdigest()[:16]).write_bytes(data)
    (folder / "words").write_text("".join(f'"\\"{word}\\""\n' for word in WORDS))


def _process(name: str, folder: Path, seconds: int, *more: str) -> int:
    command = [sys.executable, "-m", "tests.fuzz", "--target", name, "--within", str(folder)]
    ran = subprocess.run(
        [*command, "--seconds", str(seconds), *more],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    said = ran.stdout.splitlines()
    print("\n".join(f"{name}: {line}" for line in (said[-1:] if ran.returncode == 0 else said[-60:])), flush=True)
    return ran.returncode


def _flags(name: str, folder: Path, seconds: int, *, keep: bool) -> Sequence[str]:
    found, kept = str(folder / name), str(CORPUS / name)
    return (
        *(["-merge=1", kept, found] if keep else [f"-max_total_time={seconds}", found, kept]),
        f"-max_len={MAX_BYTES if not keep else MAX_KEPT_BYTES}",
        f"-timeout={ONE_INPUT_S}",
        "-rss_limit_mb=1024",
        f"-artifact_prefix={CORPUS / name}/",
        f"-dict={folder / 'words'}",
    )


def _fuzz(name: str, folder: Path, flags: Sequence[str]) -> None:
    """Fuzz one target; never returns."""
    import atheris  # noqa: PLC0415 -- only here: the suite replays the corpus where there is no fuzzer

    with atheris.instrument_imports(include=["shared", "gateway"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 -- so that it is instrumented

    # What the library starts processes of its own with, behind which it puts its flags.
    again = f"{sys.executable} -m tests.fuzz --target {name} --within {folder}"
    atheris.Setup([again, *flags], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
