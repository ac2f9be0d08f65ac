"""
Recipes of the documents, run as they stand.

A block of a document is a file if the sentence before it ends with its name (``in `roles.sql`:``), else commands for
a shell. Addresses and paths are examples, and are replaced by those of the test.
"""

import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

RUN_S: Final = 240.0

_BLOCK: Final = re.compile(r"(?:\b[Ii]n `([\w.]+)`:\n\n)?^```(?:sh|sql)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_HEADING: Final = re.compile(r"^## (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """
    What a document says to do, with our addresses and paths.

    Attributes:
        files: Texts by file name.
        commands: Commands of a shell, by heading.
    """

    files: Mapping[str, str]
    commands: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, document: Path, replaced: Mapping[str, str]) -> "Recipe":
        """Read a document; every example in ``replaced`` has to occur in it."""
        text = document.read_text()
        for example, ours in replaced.items():
            assert example in text, f"{document.name} has no {example}"
            text = text.replace(example, ours)
        files: dict[str, str] = {}
        commands: dict[str, list[str]] = {}
        _, *rest = _HEADING.split(text)
        for heading, chapter in zip(rest[::2], rest[1::2], strict=True):
            for name, block in _BLOCK.findall(chapter):
                if name:
                    files[name] = block
                else:
                    commands.setdefault(heading, []).append(block)
        return cls(files=files, commands=commands)

    def write(self, folder: Path) -> None:
        """Write the files into a folder."""
        for name, text in self.files.items():
            (folder / name).write_text(text)

    def settings(self, *names: str) -> dict[str, str]:
        """Return the settings in some of the files."""
        lines = [line for name in names for line in self.files[name].splitlines() if line]
        return dict(line.split("=", 1) for line in lines)

    def run(self, blocks: Iterable[str], *, folder: Path, path: Path, env: Mapping[str, str]) -> None:
        """Run commands in one shell; its programs are first looked for in ``path``."""
        ran = subprocess.run(
            ["sh", "-eu"],
            input="\n".join(blocks),
            env={"PATH": f"{path}:{os.environ['PATH']}", **env},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )
        assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
