"""packaging/launch.py, for real and without a network: a small project is set up in a folder of its own.

Its "torch" and "dev" packages are tiny wheels made here; Python's own bundled pip installs them.
"""

from __future__ import annotations

import ensurepip
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = ROOT / "packaging" / "launch.py"

PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "hone"
version = "0.1.0"
"""

# The least that pip asks of a project: an editable install is a wheel with a .pth file and the entry point.
BACKEND = """\
import zipfile
from pathlib import Path

META = "Metadata-Version: 2.1\\nName: hone\\nVersion: 0.1.0\\nRequires-Dist: tiny\\n" \\
       "Provides-Extra: dev\\nRequires-Dist: tinytest; extra == 'dev'\\n"

def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "hone-0.1.0-py3-none-any.whl"
    files = {
        "hone.pth": str(Path.cwd()),
        "hone-0.1.0.dist-info/METADATA": META,
        "hone-0.1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        "hone-0.1.0.dist-info/entry_points.txt": "[console_scripts]\\nhone = said:main\\n",
    }
    record = "".join(f"{path},,\\n" for path in files) + "hone-0.1.0.dist-info/RECORD,,\\n"
    with zipfile.ZipFile(Path(folder) / name, "w") as wheel:
        for path, text in {**files, "hone-0.1.0.dist-info/RECORD": record}.items():
            wheel.writestr(path, text)
    return name
"""

SAID = """\
import sys

def main():
    import torch, tiny
    print("hone was called with", sys.argv[1:], "and torch", torch.WORD)
    return 3
"""


def make_wheel(folder: Path, name: str, version: str, code: str) -> None:
    """A wheel with one module, its list of files complete with sizes as real ones are."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{path},sha256={_digest(text)},{len(text.encode())}\n" for path, text in files.items()]
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in {**files, f"{info}/RECORD": "".join(rows) + f"{info}/RECORD,,\n"}.items():
            wheel.writestr(path, text)


def _digest(text: str) -> str:
    import base64

    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


class Project:
    """A small project beside the real launcher, and the wheels that a package index would serve."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project with a space"
        self.wheels = folder / "wheels"
        self.wheels.mkdir()
        (self.root / "packaging").mkdir(parents=True)
        for file in ("launch.py", "environment.py"):
            shutil.copy(LAUNCH.with_name(file), self.root / "packaging")
        (self.root / "pyproject.toml").write_text(PYPROJECT)
        (self.root / "backend.py").write_text(BACKEND)
        (self.root / "said.py").write_text(SAID)
        self.pin("2.13.0")
        bundled = next((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))
        shutil.copy(bundled, self.wheels)
        make_wheel(self.wheels, "torch", "2.13.0", "WORD = 'thirteen'\n")
        make_wheel(self.wheels, "torch", "2.14.0", "WORD = 'fourteen'\n")
        make_wheel(self.wheels, "tiny", "1.0", "")
        make_wheel(self.wheels, "tinytest", "1.0", "")

    def pin(self, version: str) -> None:
        pins = f"torch=={version}\npip=={ensurepip.version()}\n"
        (self.root / "packaging" / "constraints.txt").write_text(pins)

    @property
    def packages(self) -> Path:
        return next((self.root / ".venv").glob("lib/python*/site-packages"), self.root / ".venv/Lib/site-packages")

    @property
    def stamp(self) -> Path:
        return self.root / ".venv" / "hone-setup.json"

    def launch(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PIP_")},
            "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": self.wheels.as_uri(), **more,
        }  # fmt: skip
        return subprocess.run(
            [sys.executable, str(self.root / "packaging" / "launch.py"), *arguments],
            capture_output=True, text=True, env=environment, cwd=self.root.parent, stdin=subprocess.DEVNULL,
        )  # fmt: skip


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, subprocess.CompletedProcess[str]]:
    project = Project(tmp_path_factory.mktemp("launch"))
    return project, project.launch("train", "my file.yaml")


@pytest.fixture(scope="module")
def environment() -> ModuleType:
    """packaging/environment.py as a module; `packaging` is no package and must stay none."""
    spec = importlib.util.spec_from_file_location("launch_environment", LAUNCH.with_name("environment.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_first_start_sets_up_and_hands_the_verb_over(installed) -> None:
    project, first = installed
    assert first.returncode == 3, first.stdout + first.stderr
    assert first.stdout.splitlines()[-1] == "hone was called with ['train', 'my file.yaml'] and torch thirteen"
    for words in ("[1/4]", "[2/4] Installing torch", "[3/4]", "[4/4]", "Hone is set up"):
        assert words in first.stdout
    assert not (project.packages / "tinytest.py").exists()
    assert json.loads(project.stamp.read_text())["for_tests"] is False


def test_second_start_says_nothing_of_set_up(installed) -> None:
    project, _ = installed
    again = project.launch()
    assert (again.returncode, again.stdout) == (3, "hone was called with [] and torch thirteen\n")


def test_unfinished_set_up_is_finished_and_torn_files_are_mended(installed) -> None:
    project, _ = installed
    project.stamp.unlink()
    (project.packages / "torch.py").write_text("WO")
    (project.packages / "tiny.py").unlink()
    shutil.rmtree(project.packages / "tiny-1.0.dist-info")
    mended = project.launch()
    assert mended.returncode == 3, mended.stdout + mended.stderr
    assert "mending torch" in mended.stdout
    assert mended.stdout.endswith("torch thirteen\n")


def test_environment_whose_python_is_gone_is_made_anew(installed) -> None:
    project, _ = installed
    python = project.root / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    python.unlink()
    mended = project.launch()
    assert mended.returncode == 3, mended.stdout + mended.stderr
    assert "making it anew" in mended.stdout


def test_changed_versions_are_brought_up_to_date(installed) -> None:
    project, _ = installed
    project.pin("2.14.0")
    updated = project.launch()
    assert updated.returncode == 3, updated.stdout + updated.stderr
    assert updated.stdout.endswith("torch fourteen\n")


def test_a_package_that_cannot_be_had_is_named_in_one_sentence(installed) -> None:
    project, _ = installed
    project.pin("2.99.0")
    failed = project.launch()
    project.pin("2.13.0")
    assert failed.returncode == 1, failed.stdout
    assert failed.stderr.startswith("There is no ready-made package of torch==2.99.0 for this system")
    assert "Traceback" not in failed.stdout + failed.stderr
    assert not project.stamp.exists()


def test_no_network_is_said_in_one_sentence(installed) -> None:
    project, _ = installed
    project.stamp.unlink(missing_ok=True)
    shutil.rmtree(project.packages / "tiny-1.0.dist-info")
    failed = project.launch(
        PIP_NO_INDEX="0", PIP_FIND_LINKS="", PIP_INDEX_URL="http://127.0.0.1:9/", PIP_RETRIES="1"
    )
    assert failed.returncode == 1
    assert failed.stderr.startswith("The packages could not be downloaded. Check the network")


def test_tests_bring_their_own_packages_and_keep_them(installed) -> None:
    project, _ = installed
    tested = project.launch("test", "--version")
    assert (project.packages / "tinytest.py").exists()
    assert tested.returncode == 1  # this project has no pytest
    assert "No module named pytest" in tested.stderr
    assert "set up" not in project.launch().stdout
    assert (project.packages / "tinytest.py").exists()


@pytest.mark.parametrize("version", [(3, 10), (3, 14), (2, 7)])
def test_other_pythons_are_refused_with_a_remedy(environment: ModuleType, version: tuple[int, int]) -> None:
    with pytest.raises(
        environment.SetupError, match=r"Hone needs 64-bit Python 3\.11 to 3\.13 and this is .*: \w"
    ):
        environment.check_python(version)


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_fitting_pythons_are_taken(environment: ModuleType, version: tuple[int, int]) -> None:
    environment.check_python(version)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "The disk is full",
        ),
        ("OSError: [Errno 30] Read-only file system: '/x'", "cannot be written"),
        ("WARNING: Retrying: SSLError(SSLCertVerificationError(1, ...))", "does not trust"),
        ("Retrying ... NewConnectionError('<...>: [Errno 111] Connection refused')", "could not be downloaded"),
        ("ERROR: No matching distribution found for torch==2.13.0", "no ready-made package of torch==2.13.0"),
        (
            "ERROR: Cannot install torch==2.13.0 because these package versions",
            "no ready-made package of torch==2.13.0",
        ),
        ("ERROR: Something odd.", "Something odd. The details are in"),
    ],
)
def test_failures_are_told_in_plain_words(environment: ModuleType, words: str, told: str) -> None:
    assert told in environment.explain(words, "A package could not be installed")


def test_too_little_disk_is_said_before_anything_is_fetched(
    environment: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(environment, "FREE_BYTES_NEEDED", 2**62)
    with pytest.raises(environment.SetupError, match="Free some space"):
        environment.check_disk()


def test_every_tested_version_satisfies_the_project() -> None:
    """The constraints pin each dependency the project names, at or above its floor."""
    import tomllib

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = (ROOT / "packaging" / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    pinned = {canonicalize_name(name): version for name, version in pins.items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for text in (*project["dependencies"], *project["optional-dependencies"]["dev"]):
        requirement = Requirement(text)
        assert pinned[canonicalize_name(requirement.name)] in requirement.specifier, text


def test_packaging_is_no_package() -> None:
    """With an __init__.py the folder would hide the library of that name."""
    assert not (ROOT / "packaging" / "__init__.py").exists()
