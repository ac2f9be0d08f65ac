"""Why a log is not exported or imported: a line for people each."""

from shared.core.errors import CardwireError, ConfigError


class TransferRefused(CardwireError):
    """Folder and log are not such that the one can go into the other; nothing was changed that was there before."""


class NotAnExport(ConfigError):
    """The folder that was named is none of an exported log."""
