"""The sections of a run's description: every setting with its type, range, default and words."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.config import JsonDict

from core.mistakes import nearest, shown
from core.yaml_text import mapping_from

INT_MAX = 2**31 - 1  # Qt's spin boxes hold signed 32-bit integers
MAPPED = ("system", "prompt", "completion", "text", "messages", "chosen", "rejected", "label")
"""What a column can be for."""
SPEAKERS = ("system", "user", "assistant", "tool")
LOG_SCALE: JsonDict = {"scale": "log"}  # steps 1, 2, 5, 10, ...
DOUBLING: JsonDict = {"scale": "double"}  # steps 8, 16, 32, ...
SHARE: JsonDict = {"scale": "share"}  # shown as a percentage, in steps of one


class Section(BaseModel):
    """A frozen group of settings; an unknown key is an error. The words under each are for core.descriptions."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class ModelSection(Section):
    source: str = "starter:storyteller"
    """A bundled model (starter:NAME), a folder, or a Hugging Face name."""
    revision: str = ""
    """Branch, tag or commit on the Hub; empty takes the main branch."""
    dtype: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    """Number format of unquantised weights; auto takes bf16 on GPUs that have it, fp32 on CPU."""
    quantization: Literal["none", "int8", "nf4", "fp4"] = "none"
    """Store the frozen base in 8 or 4 bits; nf4 with LoRA is QLoRA."""
    double_quantization: bool = True
    """Quantise the 4-bit block constants too; saves about 0.37 bits per weight."""
    attention: Literal["auto", "sdpa", "eager"] = "auto"
    """How attention is computed; sdpa never stores the length × length matrix, eager does."""


class DataSection(Section):
    source: str = "sample:poems"
    """A bundled sample (sample:NAME), a data file, or a folder or archive of them."""
    more: tuple[str, ...] = ()
    """Further datasets mixed in, each SOURCE or WEIGHT*SOURCE."""
    mapping: dict[str, str] = {}
    """What each column is for, such as {prompt: question}; empty finds it out."""
    template: str = "auto"
    """The model's own chat template (auto), one by name such as chatml, or a file."""
    max_length: int = Field(default=512, ge=8, le=1_048_576, json_schema_extra={"unit": "tokens", **DOUBLING})
    """Longest row in tokens; longer rows are cut at the end."""
    packing: bool = False
    """Put several short rows into one sequence; they cannot see each other."""
    train_on: Literal["answers", "last_answer", "all", "roles"] = "answers"
    """Which tokens the model learns to write."""
    roles: tuple[str, ...] = ("assistant",)
    """Whose messages are learnt when train_on is roles: system, user, assistant, tool."""
    holdout: float = Field(default=0.05, ge=0, le=0.5, json_schema_extra=SHARE)
    """Share of rows kept aside to evaluate on."""
    holdout_source: str = ""
    """Data to evaluate on in place of a share of the rows; empty takes the share."""
    split_column: str = ""
    """Column that says which rows are held out, by words such as test or validation."""
    stratify_by: str = ""
    """Column whose values keep their shares on both sides of the split."""
    group_by: str = ""
    """Column whose equal values stay on one side of the split."""
    on_invalid: Literal["skip", "stop"] = "skip"
    """What to do with a row that cannot be read."""
    on_no_answer: Literal["skip", "stop"] = "skip"
    """What to do with a row that lacks an answer, or has an empty one."""
    on_empty: Literal["skip", "stop"] = "skip"
    """What to do with a row in which a prompt or a text is empty."""
    on_role_order: Literal["skip", "stop"] = "skip"
    """What to do with a conversation whose roles do not take turns."""
    on_untrained: Literal["skip", "stop"] = "skip"
    """What to do with a row that the template refuses, or of which no token would be trained."""
    on_encoding: Literal["keep", "skip", "stop"] = "keep"
    """What to do with a row that shows signs of a wrong encoding."""
    on_control: Literal["keep", "cut", "skip", "stop"] = "keep"
    """What to do with a row that holds control characters; cut takes them out of it."""
    on_personal: Literal["ignore", "keep", "skip", "stop"] = "ignore"
    """What to do with a row that may hold personal data; ignore does not look for it."""
    on_dropped: Literal["keep", "skip", "stop"] = "keep"
    """What to do with a row whose system message or tools the template leaves out."""
    on_no_end: Literal["keep", "skip", "stop"] = "keep"
    """What to do with a row with an answer that lacks an end-of-turn token."""
    on_long: Literal["cut", "skip", "stop"] = "cut"
    """What to do with a row longer than the limit."""
    on_duplicate: Literal["keep", "skip", "stop"] = "keep"
    """What to do with a row that repeats an earlier one."""
    on_near_duplicate: Literal["keep", "skip", "stop"] = "keep"
    """What to do with a row that repeats an earlier one but for case and spaces."""
    on_conflict: Literal["keep", "skip", "stop"] = "keep"
    """What to do with a row that answers the prompt of an earlier one otherwise."""
    on_leak: Literal["keep", "skip", "stop"] = "keep"
    """What to do with a held-out row whose prompt is trained on too."""

    @model_validator(mode="before")
    @classmethod
    def _spread_old_policy(cls, tree: Any) -> Any:
        """Older files have one policy for all rows that cannot be used, and none of the four that it became."""
        parts = ("on_no_answer", "on_empty", "on_role_order", "on_untrained")
        if isinstance(tree, dict) and tree.get("on_invalid") == "stop" and not any(name in tree for name in parts):
            return {**tree, **dict.fromkeys(parts, "stop")}
        return tree

    @field_validator("mapping", mode="before")
    @classmethod
    def _read_mapping(cls, value: Any) -> Any:
        """A mapping may be written as text, as it stands in YAML, with or without its braces."""
        return mapping_from(value) if isinstance(value, str) else value

    @field_validator("more", "roles", mode="before")
    @classmethod
    def _read_list(cls, value: Any) -> Any:
        """A list may be written as text, with commas between."""
        return (
            tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
        )

    @field_validator("mapping")
    @classmethod
    def _know_roles(cls, value: dict[str, str]) -> dict[str, str]:
        for role, column in value.items():
            if role not in MAPPED:
                raise ValueError(f"{shown(role)} is no role.{nearest(role, MAPPED)}")
            if not column.strip():
                raise ValueError(f"{role} names no column; leave it out, or give it one.")
        return value

    @field_validator("roles")
    @classmethod
    def _know_speakers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for role in value:
            if role not in SPEAKERS:
                raise ValueError(f"{shown(role)} is no role.{nearest(role, SPEAKERS)}")
        return value


class Lora(Section):
    kind: Literal["lora"] = "lora"
    """LoRA learns a small low-rank change beside frozen weights."""
    rank: int = Field(default=16, ge=1, le=1024, json_schema_extra=DOUBLING)
    """Width of the learnt change; more can learn more and costs more."""
    alpha: float = Field(default=32, gt=0, le=4096, json_schema_extra=DOUBLING)
    """Strength of the change; it is scaled by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, le=0.9, json_schema_extra=SHARE)
    """Share of adapter inputs dropped at random while training."""
    targets: tuple[str, ...] = Field(default=("all-linear",), min_length=1)
    """Layers that get an adapter: all-linear, or names such as q_proj."""


class Full(Section):
    kind: Literal["full"] = "full"
    """Full fine-tuning changes every weight of the model."""


class Sft(Section):
    kind: Literal["sft"] = "sft"
    """Learn to give the answers in the data."""


class Pretrain(Section):
    kind: Literal["pretrain"] = "pretrain"
    """Learn to continue raw text; every token is trained."""


Optimizer = Literal["adamw", "adamw_8bit", "paged_adamw", "paged_adamw_8bit", "sgd"]
PAGED = ("paged_adamw", "paged_adamw_8bit")
"""Optimizers whose state lies in unified memory, which the GPU's driver moves to RAM when the GPU is full."""
BITSANDBYTES = ("adamw_8bit", *PAGED)
"""Optimizers that bitsandbytes brings."""


class OptimSection(Section):
    optimizer: Optimizer = "adamw"
    """Rule that turns gradients into changes; 8bit: small state, paged: it may move to RAM."""
    learning_rate: float = Field(default=2e-4, gt=0, le=1, json_schema_extra=LOG_SCALE)
    """Peak size of a step, after warm-up."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls after warm-up."""
    warmup_ratio: float = Field(default=0.05, ge=0, le=1, json_schema_extra=SHARE)
    """Share of all steps in which the learning rate rises from zero."""
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    """Pull of trained weights towards zero."""
    grad_clip: float = Field(default=1.0, ge=0, le=1000)
    """Largest gradient norm; longer gradients are shortened. 0 turns it off."""
    batch_size: int = Field(default=4, ge=1, le=4096, json_schema_extra={"unit": "rows", **DOUBLING})
    """Rows computed at once; memory grows with it."""
    accumulation: int = Field(default=4, ge=1, le=4096, json_schema_extra=DOUBLING)
    """Batches added up before each step; costs time, not memory."""
    epochs: int = Field(default=3, ge=1, le=1000)
    """How often every row is seen."""
    max_steps: int = Field(default=0, ge=0, le=INT_MAX)
    """End after this many steps; 0 leaves it to the epochs."""


class MemorySection(Section):
    activation_checkpointing: bool = True
    """Recompute each layer in the backward pass: far less memory, about a fifth slower."""
    loss: Literal["chunked", "full"] = "chunked"
    """chunked scores trained tokens a slice at a time; full holds all scores at once."""
    adapter_dtype: Literal["auto", "fp32", "bf16"] = "auto"
    """Number format of adapter weights; auto takes fp32."""
    upcast: bool = False
    """Hold norms, embeddings and head in fp32 over a quantised base; safer, costs memory."""


class EvaluationSection(Section):
    every_steps: int = Field(default=25, ge=0, le=INT_MAX, json_schema_extra={"unit": "steps"})
    """Score the held-out rows this often; 0 only at the end."""
    samples: int = Field(default=2, ge=0, le=16)
    """Held-out prompts answered at each evaluation, to read along."""
    sample_tokens: int = Field(default=96, ge=1, le=4096, json_schema_extra={"unit": "tokens"})
    """Longest sample."""
    patience: int = Field(default=0, ge=0, le=1000)
    """Stop after this many evaluations without a new best; 0 never stops early."""


class RuntimeSection(Section):
    processes: int = Field(default=1, ge=1, le=64)
    """Processes that share the batches of each step, one per GPU."""
    sharding: Literal["none", "layers"] = "none"
    """layers: each process keeps a part of every frozen layer, gathered when needed; slower."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to train; auto takes a GPU where there is one."""
    seed: int = Field(default=0, ge=0, le=INT_MAX)
    """Fixes order, split, dropout and first adapter weights."""
    threads: int = Field(default=0, ge=0, le=1024)
    """CPU threads; 0 takes one per core."""
    deterministic: bool = False
    """Only repeatable GPU kernels: slower, and equal to the bit from run to run."""
    save_every_steps: int = Field(default=50, ge=1, le=INT_MAX, json_schema_extra={"unit": "steps"})
    """Write a checkpoint this often."""
    keep_checkpoints: int = Field(default=2, ge=1, le=1000)
    """Newest checkpoints kept beside the best one."""


Method = Annotated[Lora | Full, Field(discriminator="kind")]
Objective = Annotated[Sft | Pretrain, Field(discriminator="kind")]
