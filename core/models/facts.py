"""What a base model is made of, from its config.json and safetensors headers. No weights, no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.errors import HoneError
from core.models.dimensions import NEVER_NULL, Reader, checked, shape_of, shared_mlp, window
from core.models.families import FAMILIES, Family
from core.models.headers import Tensor, read_headers
from core.models.layers import Linear, layers_of
from core.models.licence import licence_of
from core.models.mixers import Mixer

MAX_CONFIG_BYTES = 10_000_000
HIDDEN_DROPOUTS = (
    "resid_pdrop", "embd_pdrop", "residual_dropout", "embedding_dropout", "hidden_dropout", "resid_dropout",
    "embed_dropout",
)  # fmt: skip
SCORE_DROPOUTS = ("attn_pdrop", "attention_dropout")
TEXT_PARTS = ("text_config", "language_config", "llm_config")
BYTES_PER_WEIGHT = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True)
class ModelFacts:
    """A base model's dimensions, parameter counts and files. Counts are parameters, not bytes."""

    name: str
    family: str
    """The model_type of config.json, such as "llama"; of its text part for a model that also sees or hears."""
    is_modelled: bool
    """Whether the family's layers are known; otherwise counts come from the headers and widths are derived."""
    hidden: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    mlp: int
    """Width of the MLP; of one expert in a mixture of experts."""
    vocab: int
    tied: bool
    """Whether embedding and head are one tensor."""
    max_positions: int
    """Longest sequence the model was made for, in tokens; 0 when it does not say."""
    linears: tuple[Linear, ...]
    """The layers that quantisation and adapters apply to; the head is not among them."""
    num_embedding: int
    """Parameters of the token embedding (and of the head, when tied)."""
    num_head: int
    """Parameters of the head; 0 when tied."""
    num_expert: int
    """Parameters in three-dimensional expert tensors, which bitsandbytes leaves unquantised."""
    num_rest: int
    """Norms, biases, routers, learned positions."""
    num_experts: int = 0
    experts_per_token: int = 0
    shared_mlp: int = 0
    """Width of the MLP beside experts, where a family tells the two apart; 0 elsewhere."""
    kinds: tuple[tuple[str, int], ...] = ()
    """The kinds of layers of a hybrid and how many there are of each; empty where all layers are alike."""
    num_first: int = 0
    """Layers with a mixer that come before the first with attention."""
    mixer: Mixer | None = None
    """What some layers of a hybrid have in the place of attention."""
    drops_hidden: bool = False
    """Whether the model drops some of its hidden states while it learns."""
    drops_scores: bool = False
    """Whether it drops some of attention's scores."""
    sliding_window: int = 0
    attention: str = "sdpa"
    """The attention that "auto" gives: sdpa, or eager for families without it."""
    tensors: tuple[Tensor, ...] = ()
    """From the weights' headers; empty when there are no weights on disk."""
    bytes_on_disk: int = 0
    dtype_on_disk: str = ""
    """Number format of most weights on disk, as torch names it: "bfloat16"."""
    quantized_on_disk: str = ""
    """The quantisation the weights already carry on disk, such as "bitsandbytes"; empty for plain weights."""
    num_on_disk: int = 0
    """Parameters of the text part that the headers name; 0 without weights on disk, or for quantised ones."""
    has_chat_template: bool = False
    licence: str = ""
    """From the model card's front matter; empty when it states none."""

    @property
    def num_linear(self) -> int:
        return sum(linear.num_weights * linear.count for linear in self.linears)

    @property
    def num_parameters(self) -> int:
        return self.num_linear + self.num_embedding + self.num_head + self.num_expert + self.num_rest

    @property
    def query(self) -> int:
        """Width of all query heads together."""
        return self.num_heads * self.head_dim

    @property
    def key_value(self) -> int:
        """Width of all key heads together; values have the same."""
        return self.num_kv_heads * self.head_dim


def read_facts(folder: Path) -> ModelFacts:
    """The facts of a model folder. Raises HoneError (path "model.source") for a folder that is no model,
    a config.json with missing or absurd numbers, or a damaged weight file."""
    config = read_config(folder)
    tensors = tuple(read_headers(folder))
    facts = facts_from_config(config, name=folder.name, tensors=tensors)
    return replace(
        facts,
        tensors=tensors,
        bytes_on_disk=sum(tensor.num_bytes for tensor in tensors),
        num_on_disk=0 if facts.quantized_on_disk else _num_on_disk(tensors),
        dtype_on_disk=_most_common_dtype(tensors) or _declared_dtype(config),
        has_chat_template=_has_chat_template(folder),
        licence=licence_of(folder),
    )


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a model folder. Raises HoneError."""
    path = folder / "config.json"
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise _bad(path, f"is {path.stat().st_size:,} bytes long, which no real one is")
        config = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise HoneError(f"{folder} is no model: it has no config.json; choose a folder with config.json and "
                        "safetensors weights.", path="model.source") from None  # fmt: skip
    except OSError as error:
        raise _bad(path, f"cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise _bad(path, "is not valid JSON") from None
    if not isinstance(config, dict):
        raise _bad(path, "is not a table of settings")
    return config


def facts_from_config(config: dict[str, Any], name: str = "model", tensors: tuple[Tensor, ...] = ()) -> ModelFacts:
    """The facts that a config.json states, with exact counts for known families; an unknown family needs the
    tensors of its headers. Raises HoneError (path "model.source")."""
    part = next((config[key] for key in TEXT_PARTS if isinstance(config.get(key), dict)), None)
    text = {**config, **part, "model_type": part.get("model_type") or config.get("model_type")} if part else config
    family_name = str(text.get("model_type") or "")
    family = FAMILIES.get(family_name)
    defaults = dict(family.defaults) if family else {}
    if "mamba_d_ssm" in text and text["mamba_d_ssm"] is None:
        defaults.pop("mamba_d_ssm", None)  # null stands for a multiple of hidden, and not for what the class has
    reader = Reader(_without_none(text), name, defaults)
    reader.check_switches()
    if refused := next((key for key in NEVER_NULL if key in defaults and key in text and text[key] is None), None):
        raise HoneError(f"The config.json of {name} gives {refused} as null, which cannot be; download the model "
                        "again.", path="model.source")  # fmt: skip
    shape = shape_of(reader, family_name)
    if family is None:
        from core.models.unknown import layers_from_headers

        layers = layers_from_headers(shape, tensors, name, family_name)
    else:
        layers = layers_of(family, shape, checked(reader), name)
    tied = bool(text.get("tie_word_embeddings", config.get("tie_word_embeddings", bool(family and family.tied))))
    embedding = shape.vocab * shape.hidden
    return ModelFacts(
        name=name,
        family=family_name,
        is_modelled=family is not None,
        hidden=shape.hidden,
        num_layers=shape.num_layers,
        num_heads=shape.num_heads,
        num_kv_heads=shape.num_kv_heads,
        head_dim=shape.head_dim,
        mlp=shape.expert_mlp or shape.mlp,
        vocab=shape.vocab,
        tied=tied,
        max_positions=reader.whole("max_position_embeddings", default=0, smallest=0),
        linears=layers.linears,
        num_embedding=embedding,
        num_head=0 if tied else embedding,
        num_expert=layers.num_expert,
        num_rest=layers.num_rest,
        num_experts=shape.num_experts,
        experts_per_token=shape.experts_per_token,
        shared_mlp=shared_mlp(family_name, shape, reader),
        kinds=layers.kinds,
        num_first=layers.num_first,
        mixer=shape.mixer,
        drops_hidden=_drops(text, family, HIDDEN_DROPOUTS),
        drops_scores=_drops(text, family, SCORE_DROPOUTS),
        sliding_window=window(text, family, reader),
        attention="sdpa" if family is None or family.sdpa else "eager",
        quantized_on_disk=_quantized_on_disk(config, name),
    )


def _drops(text: dict[str, Any], family: Family | None, keys: tuple[str, ...]) -> bool:
    """Whether one of the shares that are dropped is above none."""
    stated = [text[key] for key in keys if type(text.get(key)) in (int, float)]
    return any(share > 0 for share in stated) if stated else family is not None and family.drops


def _without_none(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if value is not None}


def _declared_dtype(config: dict[str, Any]) -> str:
    value = config.get("dtype") or config.get("torch_dtype") or ""
    return value if value in BYTES_PER_WEIGHT else ""


def _quantized_on_disk(config: dict[str, Any], name: str) -> str:
    """The method that the weights are stored with. Raises HoneError for one that cannot be trained."""
    stated = config.get("quantization_config")
    if stated is None:
        return ""
    from core.models.allowed import QUANTIZATIONS

    stated = stated if isinstance(stated, dict) else {}
    method = str(stated.get("quant_method"))
    if "quant_method" not in stated and (stated.get("load_in_4bit") or stated.get("load_in_8bit")):
        method = "bitsandbytes"  # older transformers named no method
    if method not in QUANTIZATIONS:
        raise HoneError(f"{name} is stored quantised with {method[:40]}, which cannot be trained; take the plain "
                        "model and choose model.quantization instead.", path="model.source")  # fmt: skip
    return method


def _num_on_disk(tensors: tuple[Tensor, ...]) -> int:
    from core.models.unknown import NOT_TEXT

    return sum(tensor.num_elements for tensor in tensors if not any(part in tensor.name for part in NOT_TEXT))


def _most_common_dtype(tensors: tuple[Tensor, ...]) -> str:
    names = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
    sizes: dict[str, int] = {}
    for tensor in tensors:
        sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.num_bytes
    most = max(sizes, key=lambda dtype: sizes[dtype], default="")
    return names.get(most, most)


def _has_chat_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file():
        return True
    for file in ("chat_template.json", "tokenizer_config.json"):
        try:
            if json.loads((folder / file).read_bytes()).get("chat_template"):
                return True
        except (OSError, ValueError, AttributeError, RecursionError):
            continue
    return False


def _bad(path: Path, what: str) -> HoneError:
    return HoneError(f"{path} {what}; download the model again.", path="model.source")
