"""``python -P -m cardwire``, where there is no console script. ``-P``: the current folder is not looked in first."""

from cardwire.cli import main

if __name__ == "__main__":
    main()
