"""What whoever misspells an option is offered: never one that our own processes start each other with."""

from typing import Any

from typer.core import TyperCommand


class Offering(TyperCommand):
    """A command with hidden options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments; what an error takes for near must be among what ``--help`` shows."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            if near := getattr(error, "possibilities", None):
                hidden = {name for option in self.params if getattr(option, "hidden", False) for name in option.opts}
                error.possibilities = [name for name in near if name not in hidden]  # type: ignore[attr-defined]
            raise
