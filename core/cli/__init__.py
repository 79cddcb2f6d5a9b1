"""The command line: every verb of the window, without a window. Only what the verb needs is imported."""

from __future__ import annotations

import os
import pkgutil
import sys

from core.errors import HoneError

INTERRUPTED = 130  # what shells expect of a program that Ctrl+C ended


def main(argv: list[str] | None = None) -> int:
    """Run one verb. Returns 0 when it is done, 1 for a mistake the user can mend; argparse exits with 2."""
    from core.cli.arguments import make_parser

    options = make_parser().parse_args(argv)
    if options.version:
        from importlib.metadata import version

        print(f"hone {version('hone')}")
        return 0
    try:
        code = pkgutil.resolve_name(options.verb)(options)
        sys.stdout.flush()
        return code
    except HoneError as error:
        from core.cli.output import printable

        print(f"hone: {printable(error.message)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has left, as `hone runs | head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
