"""`python -m ganzoo`, and where the command `ganzoo` begins."""

from ganzoo.cli import cli, main

__all__ = ["cli", "main"]

if __name__ == "__main__":
    main()
