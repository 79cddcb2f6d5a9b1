"""What tests of the window share: the look, threads that end, runs followed, a model that costs nothing."""

from __future__ import annotations

import gc
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from app.state.background import Background
from app.state.garbage import Collector
from app.state.live_run import LiveRun
from app.theme import Theme
from core.hardware import Device
from core.runs import Run, RunStore

GIB = 2**30


@pytest.fixture(scope="session")
def shared_theme(qapp: QApplication) -> Theme:
    return Theme(qapp, "light")


@pytest.fixture
def theme(shared_theme: Theme) -> Iterator[Theme]:
    """The light theme, in force for the whole application as in the studio. Made once: styling takes time."""
    yield shared_theme
    shared_theme.set_appearance("light")


@pytest.fixture(autouse=True)
def collector(qapp: QApplication) -> Iterator[Collector]:
    """As in the studio, no thread of a test collects what others have left."""
    made = Collector()
    yield made
    made.look()
    gc.enable()


@pytest.fixture
def background() -> Iterator[Background]:
    threads = Background(2)
    yield threads
    threads.close()


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


@pytest.fixture
def follow(qapp, background):
    """Open runs as a page does, and let go of them at the end."""
    opened: list[LiveRun] = []

    def follow(run: Run) -> LiveRun:
        live = LiveRun(run, background)
        opened.append(live)
        return live

    yield follow
    for live in opened:
        live.pause()


@pytest.fixture
def device() -> Device:
    """A graphics card with 12 GiB, of which other programs hold 1.1."""
    return Device(
        kind="cuda", index=0, name="RTX 4070", total_bytes=12 * GIB, free_bytes=round(10.9 * GIB),
        others_bytes=12 * GIB - round(10.9 * GIB), bf16=True, capability=(8, 9),
    )  # fmt: skip


@pytest.fixture
def make_llama(tmp_path: Path) -> Callable[..., Path]:
    """Writes a Llama folder: a config, and weights that are a header and a hole in the file."""

    def make(name: str = "llama", hidden: int = 4096, layers: int = 32, vocab: int = 128_256) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        heads, mlp, kv = max(2, hidden // 128), hidden * 7 // 2, max(1, hidden // 512)
        head_dim = hidden // heads
        config = {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden,
            "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv,
            "intermediate_size": mlp, "vocab_size": vocab, "max_position_embeddings": 131_072,
            "tie_word_embeddings": False, "torch_dtype": "bfloat16",
        }  # fmt: skip
        (folder / "config.json").write_text(json.dumps(config))
        shapes: dict[str, tuple[int, ...]] = {
            "model.embed_tokens.weight": (vocab, hidden), "lm_head.weight": (vocab, hidden),
            "model.norm.weight": (hidden,),
        }  # fmt: skip
        for layer in range(layers):
            at = f"model.layers.{layer}."
            shapes |= {
                f"{at}self_attn.q_proj.weight": (hidden, hidden),
                f"{at}self_attn.k_proj.weight": (kv * head_dim, hidden),
                f"{at}self_attn.v_proj.weight": (kv * head_dim, hidden),
                f"{at}self_attn.o_proj.weight": (hidden, hidden),
                f"{at}mlp.gate_proj.weight": (mlp, hidden),
                f"{at}mlp.up_proj.weight": (mlp, hidden),
                f"{at}mlp.down_proj.weight": (hidden, mlp),
                f"{at}input_layernorm.weight": (hidden,),
                f"{at}post_attention_layernorm.weight": (hidden,),
            }
        header, offset = {}, 0
        for tensor, shape in shapes.items():
            size = 2
            for width in shape:
                size *= width
            header[tensor] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + size]}
            offset += size
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with (folder / "model.safetensors").open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            file.truncate(8 + len(text) + offset)
        return folder

    return make
