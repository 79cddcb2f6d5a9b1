"""How wrong the model is on the trained tokens, without ever holding the scores of all tokens at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from core.worker.batches import Batch

CHUNK_SCORES = 2**24
"""Scores (tokens × vocabulary) held at once by the chunked loss."""

Score = Callable[[Tensor], Tensor]


class TokenLoss:
    """Negative log-likelihood of the trained tokens of a batch, in nats.

    chunked: only the hidden states before a trained token go through the head, some at a time; their gradient is
    taken at once, so the scores of a chunk are gone before the next one comes. full: the model's own forward,
    which scores every position together.
    """

    def __init__(self, model: PreTrainedModel, chunked: bool = True) -> None:
        """`model` is the transformers model itself, with its adapter layers inside."""
        self._model = model
        self._head = _Head(model) if chunked and _Head.fits(model) else None

    @property
    def is_chunked(self) -> bool:
        return self._head is not None

    def sum(self, batch: Batch) -> Tensor:
        """The summed loss of a batch, a float32 scalar to call backward on."""
        if self._head is None:
            return functional.cross_entropy(self._all_scores(batch), batch.targets, reduction="sum")
        hidden = self._hidden(batch)
        return _ChunkedLoss.apply(hidden, batch.targets, self._head, *self._head.trained)  # type: ignore[return-value]

    @torch.no_grad()
    def each(self, batch: Batch) -> Tensor:
        """The loss of each trained token of a batch, [trained] float32, without a gradient."""
        if self._head is None:
            return functional.cross_entropy(self._all_scores(batch), batch.targets, reduction="none")
        pieces = chunks(self._hidden(batch), batch.targets, self._head.vocabulary)
        return torch.cat([functional.cross_entropy(self._head(h).float(), t, reduction="none") for h, t in pieces])

    @torch.no_grad()
    def prove(self, device: torch.device) -> None:
        """Compare the head's scores with the model's own on a few tokens, and use the full loss where they differ:
        some families change their scores after the head in ways of their own."""
        if self._head is None:
            return
        tokens = torch.arange(8, device=device).remainder(self._head.vocabulary)[None]
        was_training = self._model.training
        self._model.eval()
        own = self._model(input_ids=tokens, use_cache=False).logits.float()
        ours = self._head(self._head.backbone(input_ids=tokens, use_cache=False).last_hidden_state).float()
        self._model.train(was_training)
        if ours.shape != own.shape or not torch.allclose(ours, own, rtol=1e-2, atol=1e-2):
            self._head = None

    @torch.no_grad()
    def keeps_rows_apart(self, device: torch.device) -> bool:
        """Whether rows packed into one sequence cannot see each other in this model: a row after another one must
        come out as it does alone, and not as it does when the two are one."""
        first, second = 5, 6
        tokens = torch.arange(1, first + second + 1, device=device)[None]
        restarted = torch.cat([torch.arange(first), torch.arange(second)])[None].to(device)
        was_training = self._model.training
        self._model.eval()
        alone = self._outcome(tokens[:, first:], torch.arange(second, device=device)[None])
        packed = self._outcome(tokens, restarted)[:, first:]
        joined = self._outcome(tokens, torch.arange(first + second, device=device)[None])[:, first:]
        self._model.train(was_training)
        return bool((packed - alone).norm() <= 0.2 * (joined - alone).norm())

    def _outcome(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """What the model makes of tokens, as training calls it."""
        options = {"input_ids": tokens, "position_ids": positions, "use_cache": False}
        if self._head is None:
            return self._model(**options).logits.float()
        return self._head.backbone(**options).last_hidden_state.float()

    def _hidden(self, batch: Batch) -> Tensor:
        """The hidden states that predict the trained tokens, [trained, hidden]."""
        assert self._head is not None
        hidden = self._head.backbone(
            input_ids=batch.tokens, position_ids=batch.positions, use_cache=False
        ).last_hidden_state
        return hidden.flatten(0, 1).index_select(0, batch.places)

    def _all_scores(self, batch: Batch) -> Tensor:
        """The scores that predict the trained tokens, [trained, vocabulary], picked from those of all."""
        logits = self._model(input_ids=batch.tokens, position_ids=batch.positions, use_cache=False).logits
        return logits.flatten(0, 1).float().index_select(0, batch.places)


class _Head:
    """A model's output head with what its family does to the scores afterwards."""

    def __init__(self, model: PreTrainedModel) -> None:
        head = model.get_output_embeddings()
        assert head is not None
        self._head: nn.Module = head
        self.backbone = getattr(model, model.base_model_prefix)
        config = model.config.get_text_config()
        self.vocabulary: int = config.vocab_size
        self._cap: float | None = getattr(config, "final_logit_softcapping", None)  # Gemma 2, 3n
        self._factor: float = getattr(config, "logit_scale", None) or 1.0  # Cohere
        self._divisor: float = getattr(config, "logits_scaling", None) or 1.0  # Granite

    @staticmethod
    def fits(model: PreTrainedModel) -> bool:
        """Whether backbone and head can be called apart."""
        return model.get_output_embeddings() is not None and hasattr(model, model.base_model_prefix or "?")

    @property
    def trained(self) -> list[Tensor]:
        """The head's own parameters that are trained."""
        return [parameter for parameter in self._head.parameters() if parameter.requires_grad]

    def __call__(self, hidden: Tensor) -> Tensor:
        """Scores [tokens, vocabulary] of hidden states [tokens, hidden]."""
        scores = self._head(hidden)
        if self._factor != 1.0:
            scores = scores * self._factor
        if self._divisor != 1.0:
            scores = scores / self._divisor
        if self._cap:
            scores = torch.tanh(scores / self._cap) * self._cap
        return scores


def chunks(hidden: Tensor, targets: Tensor, vocabulary: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Hidden states and targets a slice at a time, so that a slice has about CHUNK_SCORES scores."""
    size = max(1, CHUNK_SCORES // vocabulary)
    yield from zip(hidden.split(size), targets.split(size), strict=True)


class _ChunkedLoss(torch.autograd.Function):
    """Summed cross-entropy whose gradient is computed in the forward pass, chunk by chunk.

    The head runs once, where recomputing it in the backward pass would run it twice.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, targets: Tensor, head: _Head, *trained: Tensor) -> Tensor:
        gradient = torch.empty_like(hidden)
        head_gradients = [torch.zeros_like(parameter) for parameter in trained]
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        start = 0
        for piece, wanted in chunks(hidden.detach(), targets, head.vocabulary):
            with torch.enable_grad():
                piece.requires_grad_()
                loss = functional.cross_entropy(head(piece).float(), wanted, reduction="sum")
                found, *rest = torch.autograd.grad(loss, [piece, *trained])
            gradient[start : start + len(piece)] = found
            for held, more in zip(head_gradients, rest, strict=True):
                held += more
            total += loss.detach()
            start += len(piece)
        ctx.save_for_backward(gradient, *head_gradients)
        return total

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        gradient, *head_gradients = ctx.saved_tensors
        factor = outer[0]
        return gradient * factor.to(gradient.dtype), None, None, *(held * factor for held in head_gradients)
