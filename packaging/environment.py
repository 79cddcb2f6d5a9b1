"""Hone's own Python environment in `.venv`: made, brought up to date, mended. Standard library only."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "hone-setup.json"
LOG = VENV / "setup.log"
CONSTRAINTS = ROOT / "packaging" / "constraints.txt"
OLDEST, NEWEST = (3, 11), (3, 13)
FREE_BYTES_NEEDED = 3 * 2**30

# What pip's last words mean; the first that fits is told.
FAILURES = (
    (
        r"No space left on device|Errno 28|WinError 112|not enough space",
        "The disk is full. Free at least 3 GiB and start again; what is done is kept.",
    ),
    (
        r"Read-only file system|Permission denied|Errno 13|Errno 30|Access is denied",
        f"{ROOT} cannot be written. Mend its permissions or move the project elsewhere, then start again.",
    ),
    (
        r"SSLError|CERTIFICATE_VERIFY_FAILED",
        "The package index answered with a certificate this machine does not trust. Check its date and proxy, "
        "then start again.",
    ),
    (
        r"NewConnectionError|NameResolution|Name or service not known|getaddrinfo failed|ConnectTimeout"
        r"|ReadTimeout|Max retries exceeded|Connection (refused|reset|broken)|Network is unreachable",
        "The packages could not be downloaded. Check the network and start again; what is done is kept.",
    ),
    (
        r"No matching distribution found for (?P<name>\S+)|Cannot install (?P<other>\S+) because",
        "There is no ready-made package of {name}{other} for this system and this Python. Hone runs on 64-bit "
        "Linux, Windows and macOS with Python 3.11 to 3.13.",
    ),
)


class SetupError(Exception):
    """One sentence that says what stopped the set-up and what to do."""


def set_up(for_tests: bool = False) -> None:
    """Make `.venv` match pyproject.toml and the constraints. Quick when it does already. Raises SetupError."""
    if is_set_up(for_tests):
        return
    check_python(sys.version_info[:2])
    with only_one_setup():
        if is_set_up(for_tests):
            return
        began = time.monotonic()
        for_tests = for_tests or read_stamp().get("for_tests") is True
        with writing():
            STAMP.unlink(missing_ok=True)
            make_environment()
        say("Setting Hone up. This happens once; the details are in .venv/setup.log.")
        check_disk()
        pins = tested_versions()
        step(1, "Bringing the installer up to date")
        if not list(site_packages().glob(f"pip-{pins['pip']}.dist-info")):
            pip("install", f"pip=={pins['pip']}")
        step(2, f"Installing torch {pins['torch']}, the largest part")
        pip("install", f"torch=={pins['torch']}")
        step(3, "Installing everything else")
        pip("install", "--editable", f"{ROOT}[dev]" if for_tests else str(ROOT))
        step(4, "Checking that every file is whole")
        mend_packages()
        with writing():
            staged = STAMP.with_suffix(".new")
            staged.write_text(json.dumps(expected_stamp(for_tests)), encoding="utf-8")
            staged.replace(STAMP)
        say(f"Hone is set up ({time.monotonic() - began:.0f} s).")


def is_set_up(for_tests: bool) -> bool:
    stamp = read_stamp()
    done = stamp.get("for_tests") is True
    return stamp == expected_stamp(done) and (done or not for_tests) and program("python").exists()


def read_stamp() -> dict:
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def expected_stamp(for_tests: bool) -> dict:
    """What the stamp says once this tree is set up; written last, so half a set-up never passes for whole."""
    content = hashlib.sha256()
    for part in (*re.findall(r"(?ms)^\[(?:build-system|project)\b.*?(?=^\[|\Z)", read(ROOT / "pyproject.toml")),
                 read(CONSTRAINTS)):  # fmt: skip
        content.update(part.encode())
    return {"content": content.hexdigest(), "root": str(ROOT), "for_tests": for_tests}


def tested_versions() -> dict[str, str]:
    return dict(re.findall(r"(?m)^([\w.-]+)==(\S+)", read(CONSTRAINTS)))


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def check_python(version: tuple[int, int]) -> None:
    """Raise SetupError unless this Python can run Hone."""
    if OLDEST <= version <= NEWEST and sys.maxsize > 2**32:
        return
    found = next((name for minor in (13, 12, 11) if shutil.which(name := f"python3.{minor}")), None)
    advice = f"start it with {found} instead of python" if found else "install Python 3.13 and start again with it"
    bits = "" if sys.maxsize > 2**32 else " (32-bit)"
    raise SetupError(
        f"Hone needs 64-bit Python 3.11 to 3.13 and this is {version[0]}.{version[1]}{bits}: {advice}."
    )


def make_environment() -> None:
    """A working environment in .venv: the one that is there if it runs, else a new one."""
    if VENV.exists() and not runs_here():
        say("The environment in .venv does not run any more; making it anew.")
        shutil.rmtree(VENV)
    if not VENV.exists():
        made = subprocess.run(
            [sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True, env=clean_environment()
        )
        if made.returncode:
            with contextlib.suppress(OSError):
                shutil.rmtree(VENV)
            words = made.stdout + made.stderr
            if "ensurepip" in words:
                name = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
                raise SetupError(f"This Python cannot make environments; install the system package {name}.")
            raise SetupError(explain(words, "The environment .venv could not be made"))


def runs_here() -> bool:
    """Whether .venv holds a Python that starts, is of a fitting version, has pip, and was made in this folder."""
    probe = "import os, sys, pip; print(*sys.version_info[:2], os.path.realpath(sys.prefix))"
    try:
        answer = subprocess.run(
            [str(program("python")), "-I", "-c", probe], capture_output=True, text=True, timeout=60
        )
        major, minor, prefix = answer.stdout.strip().split(" ", 2)
        # Scripts carry the absolute path of the folder they were made in, so a moved project needs new ones.
        at_home = str(VENV) in read(program("pip")) if os.name == "posix" else True
        return OLDEST <= (int(major), int(minor)) <= NEWEST and Path(prefix) == VENV.resolve() and at_home
    except (OSError, ValueError, subprocess.SubprocessError):
        return False


def check_disk() -> None:
    free = shutil.disk_usage(ROOT).free
    if free < FREE_BYTES_NEEDED and not list(site_packages().glob("torch-*.dist-info")):
        raise SetupError(
            f"Hone needs about 3 GiB of disk to set up and {free / 2**30:.1f} GiB are free in {ROOT}. "
            "Free some space and start again."
        )


def pip(*arguments: str) -> None:
    """Run pip in .venv: tested versions, ready-made packages only. Raises SetupError with a plain cause."""
    from_file = ["--constraint", str(CONSTRAINTS), "--only-binary", ":all:"]
    # Older ones, as Python brings them along, cannot report bytes to a program.
    has_bytes = any(site_packages().glob("pip-2[5-9].*.dist-info"))
    look = ["--progress-bar", "raw" if has_bytes else "off", "--no-input", "--disable-pip-version-check"]
    command = [str(program("python")), "-m", "pip", arguments[0], *look, *from_file, *arguments[1:]]
    with LOG.open("a", encoding="utf-8", errors="replace") as log:
        log.write(f"\n$ {' '.join(command)}\n")
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            text=True, encoding="utf-8", errors="replace", env=clean_environment(), cwd=str(ROOT),
        )  # fmt: skip
        words = ""
        try:
            words = follow(process, log)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode:
        raise SetupError(explain(words, "A package could not be installed"))


def follow(process: subprocess.Popen, log) -> str:
    """Show how far pip has come until it ends; returns its last words."""
    line_shown = Line()
    last: list[str] = []
    num_found, fetching = 0, ""
    for line in process.stdout or ():
        if amount := re.match(r"Progress (\d+) of (\d+)", line):
            done, total = int(amount[1]), int(amount[2])
            if total >= 10 * 10**6:
                line_shown.show(f"{fetching}: {done / 1e6:.0f} of {total / 1e6:.0f} MB", done >= total)
            continue
        log.write(line)
        log.flush()
        last = [*last[-200:], line]
        if found := re.match(r"Collecting ([A-Za-z0-9._-]+)", line):
            num_found, fetching = num_found + 1, found[1]
            line_shown.show(f"{num_found} packages found, now {fetching}")
        elif line.strip().startswith("Downloading"):
            fetching = re.sub(r"^\s*Downloading (?:\S*/)?([A-Za-z0-9._]+?)-\d.*", r"\1", line).strip()
        elif unpacked := re.match(r"Installing collected packages: (.*)", line):
            names = unpacked[1].split(", ")
            line_shown.show(f"unpacking {names[0] if len(names) == 1 else f'{len(names)} packages'}", True)
    process.wait()
    line_shown.end()
    return "".join(last)


def explain(words: str, otherwise: str) -> str:
    """The likely cause of a failure in one sentence."""
    for pattern, sentence in FAILURES:
        if found := re.search(pattern, words):
            return sentence.format(**found.groupdict(default=""))
    reasons = re.findall(r"(?m)^\s*(?:ERROR|Error): (.+)$", words)
    return f"{otherwise}{': ' + reasons[-1].strip().rstrip('.') if reasons else ''}. The details are in {LOG}."


def mend_packages() -> None:
    """Install again whatever an earlier interruption left incomplete. Raises SetupError if that does not help."""
    broken = incomplete_packages(site_packages())
    if broken:
        say(f"      mending {', '.join(sorted(broken))}")
        for metadata in site_packages().glob("*.dist-info"):
            if metadata.name.partition("-")[0] in broken and not (metadata / "RECORD").exists():
                shutil.rmtree(metadata)  # pip neither removes nor replaces a package without its list of files
        pip("install", "--force-reinstall", "--no-deps", *sorted(broken))
    if broken := incomplete_packages(site_packages()):
        raise SetupError(
            f"{', '.join(sorted(broken))} stayed incomplete. Delete the folder {VENV} and start again."
        )


def incomplete_packages(folder: Path) -> set[str]:
    """Names of packages that have files missing or of the wrong size, by their own lists of files."""
    broken = set()
    for metadata in folder.glob("*.dist-info"):
        try:
            with (metadata / "RECORD").open(encoding="utf-8", newline="") as file:
                # Some wheels list compiled files, which pip then compiles anew.
                listed = [(name, int(size)) for name, _, size in csv.reader(file) if size and name[-4:] != ".pyc"]
            whole = all((folder / name).stat().st_size == size for name, size in listed)
        except (OSError, ValueError):
            whole = False
        if not whole:
            broken.add(metadata.name.partition("-")[0])
    return broken - {"hone"}


def site_packages() -> Path:
    return next(VENV.glob("lib/python3.*/site-packages"), VENV / "Lib" / "site-packages")


def program(name: str) -> Path:
    return VENV / "Scripts" / f"{name}.exe" if os.name == "nt" else VENV / "bin" / name


def clean_environment() -> dict[str, str]:
    """This environment without what would lead Python or pip astray."""
    strays = {
        "PYTHONPATH",
        "PYTHONHOME",
        "VIRTUAL_ENV",
        "PIP_TARGET",
        "PIP_PREFIX",
        "PIP_USER",
        "PIP_REQUIRE_VIRTUALENV",
    }
    return {**{name: value for name, value in os.environ.items() if name not in strays}, "PYTHONUTF8": "1"}


@contextlib.contextmanager
def writing():
    """Turn a refused write into a SetupError."""
    try:
        yield
    except OSError as error:
        raise SetupError(explain(f"{error.strerror or error}", "The environment could not be written")) from None


@contextlib.contextmanager
def only_one_setup():
    """Held by one set-up at a time; the lock is this file itself, and the system drops it when the holder dies."""
    with Path(__file__).open("rb") as file:
        if not try_lock(file):
            say("Another start is setting Hone up; waiting for it.")
            while not try_lock(file):
                time.sleep(1)
        yield


def try_lock(file) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(2**30)  # far behind the end: Windows would keep others from reading the locked bytes
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def say(text: str) -> None:
    print(text, flush=True)


def step(number: int, text: str) -> None:
    say(f"[{number}/4] {text}")


class Line:
    """One line that is rewritten on a terminal; elsewhere a new line now and then."""

    def __init__(self) -> None:
        self.on_terminal = sys.stdout.isatty()
        self.shown_at = time.monotonic()
        self.is_open = False

    def show(self, text: str, important: bool = False) -> None:
        now = time.monotonic()
        if self.on_terminal:
            if important or now - self.shown_at > 0.1:
                width = shutil.get_terminal_size().columns - 8
                sys.stdout.write(f"\r      {text[:width]:<{width}}")
                sys.stdout.flush()
                self.shown_at, self.is_open = now, True
        elif important or now - self.shown_at > 10:
            say(f"      {text}")
            self.shown_at = now

    def end(self) -> None:
        if self.is_open:
            sys.stdout.write("\n")
            sys.stdout.flush()
