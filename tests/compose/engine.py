"""The container engine that ``docker`` reaches, asked through its command line, as a person would."""

import asyncio
import json
import os
from asyncio.subprocess import PIPE
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
IMAGE: Final = "cardwire:compose-test"
PROXY_IMAGE: Final = "cardwire-proxy:compose-test"


class EngineFailed(Exception):
    """A command failed; the text is the command and the end of what it printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a command printed."""

    out: str
    err: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Compose:
    """
    One project of ``docker-compose.yml``, with settings, ports and images of its own.

    Attributes:
        project: Its name: containers, volumes and networks carry it.
        folder: Where its settings are written.
        settings: What would stand in ``.env``.
        env_files: Files of settings that come with the repository.
        profiles: Profiles that are on.
    """

    project: str
    folder: Path
    settings: Mapping[str, str]
    env_files: Sequence[str] = ()
    profiles: Sequence[str] = ("demo",)
    scales: dict[str, int] = field(default_factory=dict)

    async def up(self, *options: str) -> None:
        """Bring the stack up as it is described, and return when everything is healthy."""
        await self.set()
        scales = [f"--scale={service}={count}" for service, count in self.scales.items()]
        await self.run("up", "--detach", "--wait", *scales, *options)

    async def set(self, **settings: str) -> None:
        """Write the file of settings, with some more; what runs learns of it when it is replaced."""
        ours = {
            "CARDWIRE_ENV_FILE": str(self._file),
            "CARDWIRE_BASE": IMAGE,
            "CARDWIRE_IMAGE": IMAGE,
            "CARDWIRE_PROXY_IMAGE": PROXY_IMAGE,
            "CARDWIRE_PUBLISH": "127.0.0.1:0",
            "CARDWIRE_SIMULATOR_PUBLISH": "127.0.0.1:0",
        }
        lines = (f"{name}={text}\n" for name, text in {**ours, **self.settings, **settings}.items())
        await asyncio.to_thread(self._file.write_text, "".join(lines))

    async def scale(self, service: str, count: int) -> None:
        """Have so many containers of a service; the others are left as they are."""
        self.scales[service] = count
        await self.run("up", "--detach", "--wait", "--no-deps", "--no-recreate", f"--scale={service}={count}", service)

    async def run(self, *command: str) -> Ran:
        """Run one command of docker compose. Raises `EngineFailed`."""
        return await docker("compose", "--progress", "quiet", *self.options, *command)

    async def roll(self, service: str) -> None:
        """Replace a service's containers one by one, with the script that is for that."""
        await _run(str(ROOT / "deploy/roll"), service, *self.options)

    async def containers(self, service: str) -> Sequence[str]:
        """Return the ids of a service's containers that run, oldest first."""
        ids = (await self.run("ps", "--quiet", service)).out.split()
        found = [await inspect(container) for container in ids]
        return [container["Id"] for container in sorted(found, key=lambda each: str(each["Created"]))]

    async def address(self, service: str, port: int) -> str:
        """Return where a published port is reached."""
        return f"http://{(await self.run('port', service, str(port))).out.strip()}"

    async def all_containers(self) -> Sequence[Mapping[str, Any]]:
        """Return everything the engine knows of each container of the project, ended ones too."""
        ids = (await self.run("ps", "--all", "--quiet")).out.split()
        return [await inspect(container) for container in ids]

    async def down(self) -> Sequence[str]:
        """Take everything down, data included, and return what is left all the same, a line each."""
        await self.run("down", "--volumes", "--remove-orphans")
        mine = f"label=com.docker.compose.project={self.project}"
        kinds = {
            "container": ("ps", "--all", "--quiet"), "volume": ("volume", "ls", "--quiet"),
            "network": ("network", "ls", "--quiet"),
        }  # fmt: skip
        left = {kind: (await docker(*ask, "--filter", mine)).out.split() for kind, ask in kinds.items()}
        return [f"{kind} {name}" for kind, names in left.items() for name in names]

    @property
    def options(self) -> Sequence[str]:
        """Options that name the project, before a command of docker compose."""
        files = [*(str(ROOT / name) for name in self.env_files), str(self._file)]
        return [
            *("--project-directory", str(ROOT)),
            *("--project-name", self.project),
            *(f"--env-file={file}" for file in files),
            *(f"--profile={profile}" for profile in self.profiles),
        ]

    @property
    def _file(self) -> Path:
        return self.folder / f"{self.project}.env"


async def docker(*command: str) -> Ran:
    """Run one command of the engine's client. Raises `EngineFailed`."""
    return await _run("docker", *command)


async def inspect(container: str) -> Mapping[str, Any]:
    """Return what the engine knows of a container."""
    found: Mapping[str, Any] = json.loads((await docker("inspect", container)).out)[0]
    return found


async def size_mb(image: str) -> float:
    """Return the size of an image, unpacked."""
    return int((await docker("image", "inspect", "--format", "{{.Size}}", image)).out) / 1e6


async def _run(*command: str) -> Ran:
    # Of our own settings none may get in: compose reads the environment before its files.
    env = {name: text for name, text in os.environ.items() if not name.startswith(("CARDWIRE_", "LARK_", "KAFKA_"))}
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, cwd=ROOT, env=env)
    try:
        out, err = await process.communicate()
    except asyncio.CancelledError:
        process.terminate()
        raise
    if process.returncode != 0:
        said = "\n".join([*out.decode().splitlines()[-5:], *err.decode().splitlines()[-15:]])
        raise EngineFailed(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
    return Ran(out=out.decode(), err=err.decode())
