"""Asks the Hugging Face Hub what a model consists of, and puts its refusals into words. The only part that knows
the Hub's own errors; used by the download alone, since nothing else may go to the network."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from core.errors import HoneError
from core.models.source import HUB_NAME, INDEX, PICKLES, SINGLE, wrong

MAX_SMALL_BYTES = 200_000_000  # tokenizers reach 50 MB; what is larger and no weight is somebody's data
SMALL_SUFFIXES = (".json", ".txt", ".model", ".jinja")
CARDS = ("README.md", "LICENSE", "LICENSE.md")
TEMPLATES = "additional_chat_templates"
ASK_SECONDS = 20.0
BLOB = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
FILE_NAME = re.compile(rf"({TEMPLATES}/)?[A-Za-z0-9_][\w.-]{{0,119}}")


@dataclass(frozen=True)
class HubFile:
    """A file on the Hub. `blob` is its name in the cache, which is a hash of its content: sha256 where
    `is_large`, else the sha1 that git gives it."""

    name: str
    num_bytes: int
    blob: str
    is_large: bool


@dataclass(frozen=True)
class Listing:
    """The files of a model at one commit."""

    name: str
    commit: str
    files: dict[str, HubFile]


def ask(name: str, revision: str = "") -> Listing:
    """What the Hub has under a name. Raises HoneError when it has nothing or refuses."""
    from huggingface_hub import HfApi

    if not HUB_NAME.fullmatch(name) or ".." in name:
        raise wrong(f"{name[:80]!r} is not a Hugging Face name such as Qwen/Qwen3-0.6B.")
    try:
        info = HfApi().model_info(name, revision=revision or None, files_metadata=True, timeout=ASK_SECONDS)
    except Exception as error:
        raise in_words(error, name, revision) from None
    files = {}
    for sibling in info.siblings or []:
        blob = sibling.lfs.sha256 if sibling.lfs else sibling.blob_id
        # These become names of files here, so what the server says is checked.
        if blob and sibling.size is not None and BLOB.fullmatch(blob) and FILE_NAME.fullmatch(sibling.rfilename):
            file = HubFile(sibling.rfilename, sibling.size, blob, sibling.lfs is not None)
            files[file.name] = file
    if not re.fullmatch(r"[0-9a-f]{40}", info.sha or ""):
        raise wrong(f"{host()} answers, and not as a Hugging Face Hub; check HF_ENDPOINT.")
    return Listing(name, info.sha or "", files)


def small_files(listing: Listing) -> list[HubFile]:
    """Settings, tokenizer, templates and card: everything Hone reads but the weights. Never code."""
    return [file for file in listing.files.values() if file.num_bytes <= MAX_SMALL_BYTES and _is_small(file.name)]


def weights(listing: Listing, index_names: list[str]) -> list[HubFile]:
    """The safetensors files that make up a model; `index_names` is what its index lists, empty without one.

    Raises HoneError when the repository has none.
    """
    names = index_names or [SINGLE]
    if all(name in listing.files for name in names):
        return [listing.files[name] for name in names]
    here = list(listing.files)
    if index_names:
        missing = next(name for name in names if name not in listing.files)
        raise wrong(f"{listing.name} is incomplete on the Hub: it lacks {missing}; choose another copy of it.")
    if "adapter_config.json" in here:
        raise wrong(f"{listing.name} is an adapter, not a base model; choose the model that it was trained on.")
    if pickles := [name for name in here if name.endswith(PICKLES)]:
        raise wrong(
            f"{listing.name} has only pickle weights ({pickles[0]}), which can run hidden code when opened; take "
            "a copy of it in safetensors."
        )
    if any(name.endswith(".gguf") for name in here):
        raise wrong(
            f"{listing.name} holds GGUF files, which are made for running; choose its safetensors version."
        )
    raise wrong(f"{listing.name} holds no {SINGLE} and no {INDEX}; choose a model in the transformers layout.")


def host() -> str:
    """The Hub in use, as people write it: huggingface.co unless HF_ENDPOINT names another."""
    from huggingface_hub import constants

    return constants.ENDPOINT.removeprefix("https://")


def in_words(error: Exception, name: str, revision: str = "", what: str = "model") -> HoneError:
    """A failure of the network, the Hub or the disk as one sentence with a remedy."""
    from huggingface_hub import errors, get_token

    if isinstance(error, errors.OfflineModeIsEnabled):
        return wrong("HF_HUB_OFFLINE is set, which forbids downloads; unset it and try again.")
    token = "your token (HF_TOKEN) has no access" if get_token() else "set HF_TOKEN to a token of your account"
    if isinstance(error, errors.GatedRepoError):
        place = f"{host()}/{name}" if what == "model" else f"{host()}/{what}s/{name}"
        return wrong(f"{name} is gated: accept its terms at https://{place}; then {_then_token(token)}.")
    if isinstance(error, errors.RevisionNotFoundError):
        return HoneError(
            f"{name} has no revision {revision!r} on the Hub; see its branches.", path="model.revision"
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return wrong(f"{host()} has no {what} {name}, or it is private; check the name, or {_then_token(token)}.")
    if isinstance(error, errors.HfHubHTTPError):
        status = error.response.status_code if error.response is not None else 0
        if status in (401, 403):
            return wrong(f"{host()} refuses {name}: check that HF_TOKEN is valid and may read it.")
        if status == 429:
            return wrong(f"{host()} asks to slow down; try again in a few minutes, it goes on where it was.")
        return wrong(f"{host()} answers with an error ({status}); try again later, it goes on where it was.")
    if isinstance(error, (errors.HTTPError, TimeoutError)):
        return wrong(f"No connection to {host()}; check the network and try again, it goes on where it was.")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return wrong(f"The disk is full; free space for {name} and try again, it goes on where it was.")
    if isinstance(error, OSError):
        place = Path(str(error.filename)).parent if error.filename else "the Hugging Face cache"
        return wrong(f"{place} cannot be written ({error.strerror}); check its permissions, or set HF_HOME.")
    raise error


def _then_token(state: str) -> str:
    return "ask for access, since " + state if state.startswith("your") else state


def _is_small(name: str) -> bool:
    path = PurePosixPath(name)
    if path.parent.name == TEMPLATES:
        return path.suffix == ".jinja"
    return path.suffix in SMALL_SUFFIXES or name in CARDS
