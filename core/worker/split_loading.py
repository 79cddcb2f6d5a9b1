"""Has transformers hand over each parameter as it is loaded, so that a model is split without ever being whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import PreTrainedModel, core_model_loading, modeling_utils

from core.worker.shards import Shards

NO_READING_AHEAD = "HF_DEACTIVATE_ASYNC_LOAD"


@contextmanager
def splitting(shards: Shards) -> Iterator[None]:
    """A model that is loaded inside is split layer by layer; tensors are read one at a time, no more ahead."""
    put, warm_up = core_model_loading.set_param_for_module, modeling_utils.caching_allocator_warmup
    was_set = os.environ.get(NO_READING_AHEAD)

    def put_and_split(model: PreTrainedModel, name: str, *rest: Any) -> None:
        put(model, name, *rest)
        shards.look_at(model, name)

    core_model_loading.set_param_for_module = put_and_split  # type: ignore[assignment]
    # It would take as much as the whole model from the GPU at once.
    modeling_utils.caching_allocator_warmup = lambda *_: None  # type: ignore[assignment]
    os.environ[NO_READING_AHEAD] = "1"
    try:
        yield
    finally:
        core_model_loading.set_param_for_module = put
        modeling_utils.caching_allocator_warmup = warm_up
        os.environ.pop(NO_READING_AHEAD)
        if was_set is not None:
            os.environ[NO_READING_AHEAD] = was_set
