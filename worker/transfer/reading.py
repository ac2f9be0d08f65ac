"""A partition's file as it was exported: every line of it, or a refusal."""

from collections.abc import Iterator
from pathlib import Path

from worker.transfer.frames import frames
from worker.transfer.line import Line, lines_of
from worker.transfer.manifest import Part
from worker.transfer.refusals import TransferRefused


def lines(path: Path, part: Part) -> Iterator[Line]:
    """
    Yield the lines of a file, a frame in memory at a time.

    Args:
        part: What the manifest says of it; what stands behind is not read.

    Raises:
        TransferRefused: It is not there, damaged, or shorter than the manifest says.
    """
    if not part.bytes:
        return
    end = 0
    try:
        with path.open("rb") as file:
            for frame in frames(file):
                if frame.end > part.bytes:
                    break
                end = frame.end
                yield from lines_of(frame.text)
                if end == part.bytes:
                    return
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    raise _damaged(path, f"what follows byte {end} cannot be read")


def _damaged(path: Path, how: str) -> TransferRefused:
    return TransferRefused(f"{path} is not what was exported ({how}): expected the folder as the export left it")


def differs(path: Path) -> TransferRefused:
    """Return the refusal of a file whose records are not those that the manifest counts."""
    return _damaged(path, "its records have another digest than in the manifest")
