"""Which example comes when is a pure function of seed, epoch and position; packs are full and hold all."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.worker.batches import Order, collate, pack, split_batches
from core.worker.examples import Examples

LENGTHS = np.random.default_rng(1).integers(3, 60, size=103)


def order(**changes) -> Order:
    options = {"batch_size": 4, "accumulation": 3, "seed": 5, "max_length": 64, **changes}
    return Order(np.arange(103), LENGTHS, **options)


def seen(made: Order, epoch: int) -> list[int]:
    steps = range(epoch * made.steps_per_epoch, (epoch + 1) * made.steps_per_epoch)
    return [number for step in steps for batch in made.batches(step) for group in batch for number in group]


def test_every_example_comes_once_an_epoch_in_another_order_each_time() -> None:
    for made in (order(), order(packing=True)):
        assert sorted(seen(made, 0)) == sorted(seen(made, 1)) == list(range(103))
        assert seen(made, 0) != seen(made, 1)


def test_the_order_does_not_depend_on_what_was_asked_before() -> None:
    straight, jumping = order(), order()
    steps = list(range(2 * straight.steps_per_epoch))
    in_order = [straight.batches(step) for step in steps]
    assert [jumping.batches(step) for step in reversed(steps)] == in_order[::-1]
    assert order(seed=6).batches(0) != in_order[0]


def test_steps_have_the_rows_they_are_asked_for() -> None:
    made = order()
    assert made.steps_per_epoch == 9  # 103 rows, 12 a step
    sizes = [sum(len(batch) for batch in made.batches(step)) for step in range(9)]
    assert sum(sizes) == 103 and max(sizes) == 12
    assert all(len(batch) <= 4 for step in range(9) for batch in made.batches(step))


def test_batches_hold_examples_of_like_length() -> None:
    def padding(made: Order) -> int:
        batches = [batch for step in range(made.steps_per_epoch) for batch in made.batches(step)]
        return sum(
            len(batch) * max(LENGTHS[n] for (n,) in batch) - sum(LENGTHS[n] for (n,) in batch) for batch in batches
        )

    shuffled = np.random.default_rng(0).permutation(LENGTHS)[:100].reshape(25, 4)
    assert padding(order()) < 0.2 * (shuffled.max(1) * 4 - shuffled.sum(1)).sum()


@given(st.lists(st.integers(1, 50), min_size=1, max_size=200), st.integers(50, 100))
def test_packs_hold_everything_once_within_their_capacity(lengths: list[int], capacity: int) -> None:
    groups = pack(lengths, capacity)
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    sums = [sum(lengths[index] for index in group) for group in groups]
    assert max(sums) <= capacity
    assert len(groups) <= max(
        1, int(11 / 9 * -(-sum(lengths) // capacity)) + 1 + len([n for n in lengths if 2 * n > capacity])
    )
    assert sorted(sums)[0] + (sorted(sums)[1] if len(sums) > 1 else capacity) > capacity or len(groups) == 1


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.randoms())
def test_the_number_of_packs_does_not_depend_on_order(lengths: list[int], random) -> None:
    shuffled = random.sample(lengths, len(lengths))
    assert len(pack(lengths, 64)) == len(pack(shuffled, 64))


def test_smaller_batches_hold_the_same_sequences() -> None:
    batches = order().batches(0)
    small = split_batches(batches, 3)
    assert [group for batch in small for group in batch] == [group for batch in batches for group in batch]
    assert max(len(batch) for batch in small) == 3


def test_a_batch_names_the_positions_before_each_trained_token() -> None:
    examples = Examples.join([
        ([10, 11, 12, 13], [False, False, True, True]),
        ([20, 21], [False, True]),
        ([30, 31, 32], [False, True, False]),
    ])  # fmt: skip
    batch = collate([(0,), (1,)], examples, torch.device("cpu"))
    assert batch.tokens.tolist() == [[10, 11, 12, 13], [20, 21, 0, 0]]
    assert batch.positions is None and batch.num_tokens == 6
    assert batch.places.tolist() == [1, 2, 4] and batch.targets.tolist() == [12, 13, 21]
    packed = collate([(0, 2), (1,)], examples, torch.device("cpu"))
    assert packed.positions is not None
    assert packed.positions.tolist() == [[0, 1, 2, 3, 0, 1, 2], [0, 1, 0, 1, 2, 3, 4]]
    assert packed.places.tolist() == [1, 2, 4, 7] and packed.targets.tolist() == [12, 13, 31, 21]


def test_what_is_padded_is_counted() -> None:
    plain, packed = order(), order(packing=True)
    for made in (plain, packed):
        batches = [batch for step in range(made.steps_per_epoch) for batch in made.batches(step)]
        sizes = [[sum(LENGTHS[number] for number in group) for group in batch] for batch in batches]
        places = sum(len(batch) * max(batch) for batch in sizes)
        assert made.padding_share() == 1 - sum(map(sum, sizes)) / places
        assert made.num_sequences == sum(map(len, sizes))
    assert packed.padding_share() < 0.05
    assert packed.num_sequences < plain.num_sequences


def test_a_pack_takes_the_best_fit_of_what_is_open() -> None:
    assert pack([7, 5, 3, 3, 2], 10) == [[0, 2], [1, 3, 4]]
    assert pack([6, 5, 4, 5], 10) == [[0, 2], [1, 3]]
    assert pack([], 10) == []
