"""What torch's allocator holds beside tensors in loops that are not ours, whose segments cannot grow.

Follows from its rules and from what transformers and PEFT do, in large strokes; no number in it is fitted to a
measurement. Rehearsals of published runs were played through the rules one block at a time, which is how these
strokes were found (tests/bench/published_totals.py).
"""

from __future__ import annotations

from core.hardware import Device
from core.memory.hybrids import find_hybrid
from core.memory.moments import MOMENTS, Moment
from core.memory.rows import Found, Peak
from core.memory.stack import Stack
from core.memory.training import num_trainable, targeted
from core.memory.weights import CODEBOOKS, four_bit_constants
from core.models.facts import ModelFacts

MIB = 1 << 20
PASSING = ("recompute", "head_and_loss", "workspace")
SCORES = "bHss"
LOGITS = ("TV", "NV")
SMALL = MIB
"""Tensors of up to so many bytes have segments of their own, which larger ones never use."""
KEPT_FREE = round(1.2 * 1024 * MIB)
"""What transformers leaves free of a GPU when it takes memory ahead of loading."""


def stock_slack(device: Device, moments: list[Moment], stack: Stack, facts: ModelFacts) -> int:
    """Bytes held beside the tensors of the worst moment.

    Layers pass before the loss does, and each size of their tensors comes to segments of its own. The loss takes
    others, as its tensors are larger; going backward, layers use those again, unless they have tensors of scores
    that are larger still. Tensors that stand from layer to layer fill what loading left free.
    """
    of = {moment.words: moment.parts for moment in moments}
    loss, layer = of[MOMENTS["loss"]], of[MOMENTS["layer"]]
    held = min(loss.get("head_and_loss", 0), layer.get("head_and_loss", 0))
    passing = {
        name: sum(parts.get(part, 0) for part in PASSING) for name, parts in (("loss", loss), ("layer", layer))
    }
    units = stack.units(facts)
    logits = max(1, 4 * units["TV"])
    scores = 4 * units[SCORES] if stack.attention == "eager" else 0
    forward = _forward(facts, stack, units) or {"": passing["layer"] - held}
    layers = passing["layer"] - held if scores >= logits else sum(forward.values())
    standing = loss.get("activations", 0)

    free = _left_by_loading(device, facts, stack)
    num_logits = round(passing["loss"] / logits)
    unfilled = 0
    for size in free:
        fitting = min(num_logits, size // logits)
        num_logits -= fitting
        unfilled += size - fitting * logits
    slack = max(unfilled - standing, min(passing["loss"] - held, layers))
    if scores >= logits and sum(free) >= standing:
        # No standing tensor broke the segments of scores, so the loss finds them whole.
        num_scores = round(forward.get(SCORES, 0) / scores)
        slack = max(0, slack - num_scores * (scores // logits) * logits)
    return slack + _small(facts, stack, max(moments, key=lambda moment: moment.num_bytes))


def _forward(facts: ModelFacts, stack: Stack, units: dict[str, int]) -> dict[str, int]:
    """The bytes of a layer's forward pass by what their sizes are multiples of, each at its most; without those
    of logits. Empty for a hybrid, whose layers differ."""
    rows = find_hybrid(facts, stack.mode(facts), "stock")
    if not isinstance(rows, Found):
        return {}
    found: dict[str, int] = {}
    for row, sign in rows.signed("evaluation"):
        for name, amount in _by_product([peak for place in row.layers for peak in place]).items():
            found[name] = found.get(name, 0) + sign * round(amount * units[name])
    return {name: num_bytes for name, num_bytes in found.items() if num_bytes > 0}


def _by_product(peaks: list[Peak]) -> dict[str, float]:
    found: dict[str, float] = {}
    for peak in peaks:
        for name, fixed, _ in peak.totals:
            if name not in LOGITS:
                found[name] = max(found.get(name, 0), fixed)
    return found


def _left_by_loading(device: Device, facts: ModelFacts, stack: Stack) -> list[int]:
    """Stretches that stay free of what loading took, in bytes.

    What is cast to 32 bits leaves its 16-bit copy behind. The transformers that published runs were made with took
    half of a model's 16-bit bytes ahead when it quantised; that of today takes what the model comes to.
    """
    if stack.quantization == "none":
        return []
    kept = [2 * count for count in (facts.num_embedding, facts.num_head) if count]
    free = 0
    if stack.loop == "plain":
        ahead = min(2 * facts.num_parameters, max(0, device.free_bytes - KEPT_FREE)) // 2
        free = max(0, ahead - _packed(facts, stack) - sum(kept))
    if not stack.upcast:
        return [free]
    for num_bytes in kept:
        free -= 2 * num_bytes if 2 * num_bytes <= free else 0
    return [free, *kept]


def _packed(facts: ModelFacts, stack: Stack) -> int:
    """Bytes of the quantised layers with those of their constants that are no small tensors."""
    if stack.quantization == "int8":
        return facts.num_linear
    found = 0
    for one in facts.linears:
        constants = four_bit_constants(one.num_weights, stack)
        found += one.count * (one.num_weights // 2 + (constants if constants > SMALL + CODEBOOKS else 0))
    return found


def _small(facts: ModelFacts, stack: Stack, worst: Moment) -> int:
    """What small tensors come to beside those of the worst moment: gradients and, where AdamW takes many tensors
    at once, as torch's own does, the roots of their second moments."""
    largest = max((max(one.num_in, one.num_out) for one in targeted(facts, stack)), default=0)
    if stack.is_full or stack.rank * largest * stack.adapter_bytes > SMALL:
        return 0
    trained = num_trainable(facts, stack) * stack.adapter_bytes
    roots = trained if stack.loop == "plain" and stack.optimizer == "adamw" else 0
    return trained - min(trained, worst.parts.get("gradients", 0)) + roots
