"""TOML files that settings name: read whole, and where that fails, told of without a word of what stands in them."""

import re
import tomllib
from pathlib import Path
from typing import Any, Final

from shared.core.errors import ConfigError
from shared.settings.declare import Setting

_PLACE: Final = re.compile(r"at line \d+, column \d+")


def read_tables(path: str, told: Setting, *, of: str) -> dict[str, Any]:
    """
    Return what a file holds.

    Args:
        told: The setting that names it.
        of: What it has a table for: ``app``.

    Raises:
        ConfigError: See `unusable`.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise unusable(path, told, error.strerror or type(error).__name__, of=of) from None
    except tomllib.TOMLDecodeError as error:
        # Only the place: the library's words may quote what stands there.
        place = _PLACE.search(str(error))
        raise unusable(path, told, f"it is no TOML {place[0] if place else 'at its end'}", of=of) from None
    except ValueError:
        raise unusable(path, told, "it is not UTF-8 text", of=of) from None


def unusable(path: str, told: Setting, why: str, *, of: str) -> ConfigError:
    """Return the line about a file that cannot be used at all; its arguments are those of `read_tables`."""
    return ConfigError(
        f"{told.name} names {path}, which cannot be used ({why}): expected a TOML file with a table for each {of}, for "
        f"example {told.name}={told.example}"
    )
