"""Sets Hone up on this machine and runs it. Standard library only; safe to interrupt and to repeat.

python packaging/launch.py                 opens the window
python packaging/launch.py demo            the main job without a display
python packaging/launch.py test [ARGS]     checks and tests; with ARGS only pytest, with those
python packaging/launch.py VERB ...        any other verb of the command line, such as doctor
"""

import os
import subprocess
import sys
import time

if sys.version_info < (3, 8):  # noqa: UP036 - too old to read the next file
    sys.exit("Hone needs Python 3.11 to 3.13; install one of them and start again with it.")

from environment import ROOT, SetupError, clean_environment, program, say, set_up  # beside this file


def main(arguments: list) -> int:
    verb = arguments[0] if arguments else ""
    try:
        set_up(for_tests=verb == "test")
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Start again and the set-up goes on from here.", file=sys.stderr)
        return 130
    if verb == "test":
        return run_tests(arguments[1:])
    return hand_over([str(program("hone")), *arguments])


def hand_over(command: list) -> int:
    """Become the command; on Windows wait for it instead."""
    if os.name == "posix":
        os.execv(command[0], command)
    try:
        return subprocess.call(command)
    except KeyboardInterrupt:
        return 130


def run_tests(arguments: list) -> int:
    """Every check, then the tests; pytest speaks last. Returns 1 if anything failed."""
    python = str(program("python"))
    checks = [] if arguments else [
        ("Style", [str(program("ruff")), "check", "."]),
        ("Layout", [str(program("ruff")), "format", "--check", "."]),
        ("Who may import whom", [str(program("lint-imports")), "--no-logo"]),
        ("Types", [str(program("pyright"))]),
    ]  # fmt: skip
    environment = {**clean_environment(), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    failed = []
    for name, command in checks:
        began = time.monotonic()
        done = subprocess.run(
            command, cwd=str(ROOT), env=environment, capture_output=True, text=True, encoding="utf-8"
        )
        say(f"{name}: {'ok' if done.returncode == 0 else 'failed'} ({time.monotonic() - began:.1f} s)")
        if done.returncode:
            print((done.stdout + done.stderr).rstrip(), flush=True)
            failed.append(name)
    if failed:
        say(f"Failed before the tests: {', '.join(failed)}.")
    tests = subprocess.call([python, "-m", "pytest", *(arguments or ["-q"])], cwd=str(ROOT), env=environment)
    return tests or (1 if failed else 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
