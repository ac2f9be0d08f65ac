"""The command line. Each command imports only the process that it starts, so that each starts fast."""

import sys


def main() -> None:
    """Run the command line; refuse to run somebody else's packages."""
    from cardwire.ours import shadowed

    if problems := shadowed():
        for problem in problems:
            print(f"cardwire: {problem}", file=sys.stderr)  # noqa: T201 -- nothing else can be trusted to be ours yet
        raise SystemExit(2)

    from cardwire.cli.commands import cli
    from cardwire.cli.refusals import told_in_lines, warn_in_lines
    from cardwire.cli.usage import understood

    warn_in_lines()
    with told_in_lines():
        raise SystemExit(understood(cli))
