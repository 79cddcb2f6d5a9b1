"""The config a verb works with: a YAML file or the defaults, with the changes of --set."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from core.cli.output import say
from core.config import RunConfig, declared_at
from core.data.templates import AUTO, template_names
from core.descriptions import schema_of
from core.errors import HoneError
from core.mistakes import ConfigError, Mistake
from core.yaml_text import read_yaml

SOURCES = ("model.source", "data.source", "data.holdout_source", "data.template")


def show_config(options: argparse.Namespace) -> int:
    """`hone config`: the config as YAML with comments, or the schema of all configs."""
    if options.schema:
        say(json.dumps(schema_of(RunConfig), indent=2))
    else:
        say(read_config(options).to_yaml().rstrip())
    return 0


def read_config(options: argparse.Namespace) -> RunConfig:
    """The config that CONFIG.yaml and --set describe, its local paths made absolute. Raises HoneError.

    A path in the file is looked for beside the file first, then where the user stands.
    """
    config = RunConfig()
    if options.config:
        path = Path(options.config)
        config = anchored(RunConfig.load(path), path.absolute().parent)
    texts = dict(change(text) for text in options.changes)
    # A kind brings its own fields along, so kinds come before what belongs to them.
    kinds = {path: text for path, text in texts.items() if path.endswith(".kind")}
    like = RunConfig().with_values(kinds)
    changes = {path: parsed(like, path, text) for path, text in texts.items() if path not in kinds}
    config = config.with_values({**kinds, **changes})
    return anchored(config, Path.cwd())


def change(text: str) -> tuple[str, str]:
    """PATH=VALUE taken apart. Raises HoneError."""
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise HoneError(f"--set {text} lacks a value; write it as PATH=VALUE, such as optim.learning_rate=1e-4.")
    return path.strip(), value


def parsed(like: RunConfig, path: str, text: str) -> object:
    """The value that a text stands for in that field: YAML, but a word for a field of words, and for one of lists
    also words with commas between them."""
    try:
        annotation = declared_at(like, path).annotation
    except (AttributeError, KeyError):
        return text  # the config knows the path no better, and names the nearest one
    if annotation is str:
        return text
    try:
        value = read_yaml(text)
    except ValueError:
        raise ConfigError([Mistake(path, f"{text} is no value; quote it if it has special characters.")]) from None
    if not str(annotation).startswith("tuple") or not isinstance(value, str | None):
        return value
    if not value:
        return []
    is_quoted = text.lstrip().startswith(("'", '"'))
    if is_quoted or (path == "data.more" and _is_there(value.rpartition("*")[2].strip())):
        return [value]  # then a comma belongs to the one value
    return [part.strip() for part in value.split(",")]


def _is_there(source: str) -> bool:
    try:
        return Path(source).expanduser().exists()
    except (OSError, ValueError, RuntimeError):  # a name too long, or the home of nobody
        return False


def anchored(config: RunConfig, folder: Path) -> RunConfig:
    """The config with sources that exist below the folder made absolute: a worker stands in its run's folder."""
    found: dict[str, object] = {}
    for path in SOURCES:
        source = str(config.value(path))
        place = folder / Path(source).expanduser()
        if path == "data.template" and (source in (AUTO, *template_names()) or not place.is_file()):
            continue
        if source and place.exists():
            found[path] = str(place.resolve())
    if config.data.more:
        from core.data import mix  # loads numpy, which most verbs have no use for

        found["data.more"] = tuple(mix.anchored(text, folder) for text in config.data.more)
    return config.with_values(found) if found else config
