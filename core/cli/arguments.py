"""What can be typed: the verbs and their options. Imports nothing heavy, so that --help answers at once."""

from __future__ import annotations

import argparse
from typing import Any

from core.cli.data_arguments import add_data_verbs

EPILOG = """\
CONFIG.yaml describes a run; `hone config` prints one with every setting explained. Left out, it stands for the
defaults, so `hone train --set data.source=mine.jsonl` is a whole command. A list is written A,B; where a value has
a comma itself, '["A, B", "0.5*C"]', as for the files of data.more. RUN is the id, the name or the folder of a run.
Exit codes: 0 done, 1 something you can mend (said in one sentence), 2 a mistyped command.
"""


def make_parser() -> argparse.ArgumentParser:
    """The parser; each verb leaves its function's dotted name in `verb`."""
    parser = argparse.ArgumentParser(
        prog="hone",
        description="Fine-tune language models on your own machine. Without a verb, the studio opens.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.set_defaults(verb="core.cli.window:open_window")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    config, runs, json = _config(), _runs(), _json()

    demo = _add(verbs, "demo", "demo:run_demo", "teach the storyteller to write poems, and show it", [runs, json])
    demo.add_argument("--name", default="demo", help="name of the run (default: demo)")

    train = _add(verbs, "train", "training:train", "train a model and follow it", [config, runs, json])
    train.add_argument("--name", default="", help="short name of the run; the data's name if left out")
    train.add_argument("--detach", action="store_true", help="return at once; the run goes on by itself")

    resume = _add(verbs, "resume", "training:resume", "continue a run from its last checkpoint", [runs, json])
    resume.add_argument("run", metavar="RUN")
    resume.add_argument("--detach", action="store_true", help="return at once; the run goes on by itself")

    stop = _add(verbs, "stop", "training:stop", "finish the step, save a checkpoint and end a run", [runs, json])
    stop.add_argument("run", metavar="RUN")

    _add(verbs, "runs", "run_table:show_runs", "list all runs", [runs, json])

    planned = [config, _place(), runs, json]
    _add(verbs, "estimate", "estimates:show_estimate", "what memory a run will need", planned)

    fit = _add(verbs, "fit", "fit:show_fit", "the largest settings that fit, and what to change", planned)
    fit.add_argument("--models", action="store_true", help="which models of the catalogue fit these settings")

    text = "the exact memory of a run, from its real code on tensors without content"
    rehearse = _add(verbs, "rehearse", "rehearsals:rehearse", text, [config, json])
    rehearse.add_argument("--device", choices=("cpu", "cuda", "mps"), help="a device that need not be here")

    add_data_verbs(verbs, _add, json, _changes)

    chat = _add(verbs, "chat", "chat:chat", "ask the base and adapters the same thing", [runs, json])
    chat.add_argument("runs_asked", metavar="RUN", nargs="+", help="runs of one base model")
    chat.add_argument("--base", action="store_true", help="ask the untuned base model too")
    chat.add_argument("--prompt", required=True, metavar="TEXT")
    chat.add_argument("--max-tokens", type=int, default=256, metavar="N", help="longest answer (default: 256)")
    chat.add_argument("--temperature", type=float, default=0.0, help="0, the default, takes the likeliest token")
    chat.add_argument("--seed", type=int, default=0, help="fixes the dice of a temperature above 0")

    shown = _add(verbs, "config", "configs:show_config", "print a config with every setting explained", [config])
    shown.add_argument("--schema", action="store_true", help="print the JSON schema of a config instead")

    _add(verbs, "doctor", "checkup:show_checkup", "what works on this machine, and what to do otherwise", [json])

    download = _add(verbs, "download", "downloads:download", "fetch a model or data from the Hub", [json])
    download.add_argument("source", metavar="NAME", help="such as owner/model, or owner/name[:config][@split]")
    download.add_argument("--data", action="store_true", help="NAME is a dataset")
    download.add_argument("--revision", default="", help="branch, tag or commit; the main branch if left out")
    return parser


def _add(verbs: Any, name: str, verb: str, text: str, parents: list[argparse.ArgumentParser]) -> Any:
    made = verbs.add_parser(name, help=text, description=f"{text[:1].upper()}{text[1:]}.", parents=parents)
    made.set_defaults(verb=f"core.cli.{verb}")
    return made


def _config() -> argparse.ArgumentParser:
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument("config", nargs="?", metavar="CONFIG.yaml", help="a config; the defaults if left out")
    _changes(parent)
    return parent


def _changes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", action="append", default=[], metavar="PATH=VALUE", dest="changes",
        help="change one setting, such as optim.learning_rate=1e-4; may be repeated",
    )  # fmt: skip


def _place() -> argparse.ArgumentParser:
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument("--budget", metavar="SIZE", help="judge against this much memory, such as 24GiB")
    parent.add_argument("--gpu", metavar="NAME", help='plan for a card that is not here, such as "RTX 4090"')
    return parent


def _runs() -> argparse.ArgumentParser:
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument("--runs", metavar="DIR", help="the folder of all runs (default: as in your settings)")
    return parent


def _json() -> argparse.ArgumentParser:
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument("--json", action="store_true", help="print one JSON document for programs")
    return parent
