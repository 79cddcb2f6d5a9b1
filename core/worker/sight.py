"""Rows through the eyes of a model: each token's text, which are trained, what is cut, why a row is left out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from math import gcd
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from core.data.export import flaws_of, require_target, write_flaws
from core.data.fingerprint import fingerprint, stamp
from core.data.judgement import Judgement
from core.data.kinds import NOTHING_LEFT
from core.data.listing import Listing
from core.data.row import Problem
from core.data.rows import Rows, rows_of
from core.data.run_rows import RunRows
from core.errors import HoneError
from core.events import Progress
from core.models.quarantine import clean_copy
from core.models.source import find_model
from core.preview import MOST_TOKENS, Answer, Exported, Judged, Look, Looked, Seen
from core.preview import Sequence as Shown
from core.sections import DataSection
from core.worker.examples import Encoder, Example, Text, encoder_for
from core.worker.judging import judge_tokens, long_in_words
from core.worker.lengths import LengthCount
from core.worker.outlines import outlining
from core.worker.template import DATE, ChatTemplate, TrainOn, ensure_template
from core.worker.tokenizer import load_tokenizer
from core.worker.tokens import Tokens

CHUNK_ROWS = 64
SAMPLE_SECONDS = 1.0
SAMPLE_ROWS = 2000
REPORT_SECONDS = 0.2
MOST_KEPT_BYTES = 2**30
"""Of data whose tokens are kept; of more only where they begin and end, see `outlining`."""


class Sight:
    """`look` first; then `show` and `measure`. What did not change between two looks is kept."""

    def __init__(self) -> None:
        self._look: Look | None = None
        self._tokenizers: dict[tuple[str, str, str], tuple[PreTrainedTokenizerBase, bool]] = {}
        self._rows: dict[object, Rows] = {}
        self._made: dict[str, Tokens] = {}

    def look(self, look: Look) -> Looked:
        """Load what the look names. Raises HoneError; then nothing can be shown."""
        self._look = None
        key = look.model, look.revision, look.data.template
        if key not in self._tokenizers:
            tokenizer = load_tokenizer(clean_copy(find_model(look.model, look.revision).path))
            self._tokenizers = {key: (tokenizer, not ensure_template(tokenizer, look.data.template))}
        chosen = look.seed, tuple(sorted(look.data.mapping.items())), stamp(look.data.source, look.data.more)
        if chosen not in self._rows:
            self._rows = {chosen: rows_of(look.data, look.seed)}
        self._tokenizer, has_template = self._tokenizers[key]
        self._data = self._rows[chosen]
        # As training makes them, but for the date, which is today's here and the first day's there.
        self._template = ChatTemplate(self._tokenizer, time.strftime(DATE))
        self._train_on: TrainOn = "all" if look.objective == "pretrain" else look.data.train_on
        self._in_pieces = look.objective == "pretrain" or self._data.format == "text"
        self._look = look
        self._special = self._encoder().special
        return Looked(num_rows=len(self._data), has_template=has_template)

    def show(self, number: int) -> Seen:
        """One row, counted from 0. Raises HoneError when there is none."""
        look = self._ready
        if not 0 <= number < len(self._data):
            raise HoneError(f"{look.data.source} has {len(self._data):,} rows; {number + 1:,} is none of them.")
        row = self._data[number]
        if isinstance(row, Problem):
            return Seen(row=number, line=row.line, refused=row.reason)
        encoder = self._encoder()
        rendered = encoder.render([row])
        outcome = encoder.mask(rendered, encoder.tokenize(rendered))[0]
        texts = [] if isinstance(rendered[0], str) else rendered[0]
        sequences = tuple(self._shown(one.example, texts[one.part]) for one in outcome.sequences)
        is_cut_away = bool(sequences) and not any(one.num_trained for one in sequences)
        refused = outcome.refused or NOTHING_LEFT * is_cut_away
        return Seen(row=number, line=row.line, sequences=sequences, refused=refused, remarks=outcome.remarks)

    def measure(self, is_sample: bool) -> Iterator[Answer]:
        """Progress, and at the end one Measured; a sample is evenly spread, and ends after about a second."""
        if is_sample:
            yield from self._measure_sample()
            return
        count, look = LengthCount(), self._ready
        made = yield from self._tokens(self._data, fingerprint(look.data.source, look.data.more))
        count.add_all(made)
        refused = Counter(
            {reason: int((made.refusals == place).sum()) for place, reason in enumerate(made.reasons)}
        )
        yield count.measured(len(self._data), dict(refused.most_common()), self._in_pieces)

    def _measure_sample(self) -> Iterator[Answer]:
        encoder, count, began = self._encoder(), LengthCount(), time.monotonic()
        reported, num_rows = began, len(self._data)
        order = _spread(num_rows, SAMPLE_ROWS)
        for first in range(0, len(order), CHUNK_ROWS):
            rows = [self._data[number] for number in order[first : first + CHUNK_ROWS]]
            for outcome in encoder.read(rows):
                count.add([one.example for one in outcome.sequences], outcome.remarks)
            now = time.monotonic()
            if now - reported > REPORT_SECONDS:  # who asks for a row meanwhile gets it
                yield Progress(label="Counting tokens", done=count.num_rows, total=num_rows, unit="rows")
                reported = now
            if now - began > SAMPLE_SECONDS:
                break
        yield count.measured(num_rows, dict(encoder.skipped.most_common()), self._in_pieces)

    def judge(self, data: DataSection, seed: int) -> Iterator[Answer]:
        """Progress, and at the end one Judged. Raises HoneError for a file to evaluate on that cannot be had."""
        rows, made, judgement = yield from self._judged(data, seed)
        detail = long_in_words(made, data)
        yield Judged(findings=Listing(rows, made.marks, judgement, detail).findings())

    def export(self, data: DataSection, seed: int, target: Path) -> Iterator[Answer]:
        """Progress, and at the end one Exported. Raises HoneError for a place that cannot be written."""
        require_target(data, seed, target)
        rows, made, judgement = yield from self._judged(data, seed)
        listing = Listing(rows, made.marks, judgement, long_in_words(made, data))
        yield Exported(num_lines=write_flaws(flaws_of(rows, listing, judgement), target))

    def _judged(self, data: DataSection, seed: int) -> Generator[Answer, None, tuple[RunRows, Tokens, Judgement]]:
        rows = RunRows.beside(self._data, data)
        made = yield from self._tokens(rows.data, fingerprint(data.source, data.more))
        if rows.apart is not None:
            made = made.and_held_out((yield from self._tokens(rows.apart, fingerprint(data.holdout_source))))
        return rows, made, judge_tokens(made, data, seed, in_pieces=self._in_pieces)

    def _tokens(self, rows: Rows, sha256: str) -> Generator[Answer, None, Tokens]:
        """Every row in tokens; a run with the same settings finds them again, unless there is too much to keep."""
        from core.worker.token_cache import caching_tokens, key_of  # Arrow takes a moment to load

        look = self._ready
        key = key_of(sha256, self._tokenizer, self._template, self._train_on, look.data, look.seed)
        if key not in self._made:
            is_kept = rows.num_bytes < MOST_KEPT_BYTES
            work = caching_tokens(key, rows, self._encoder()) if is_kept else outlining(rows, self._encoder())
            while True:
                try:
                    yield Progress(label="Counting tokens", done=next(work), total=len(rows), unit="rows")
                except StopIteration as done:
                    self._made = {key: done.value} if rows is self._data else {**self._made, key: done.value}
                    break
        return self._made[key]

    @property
    def _ready(self) -> Look:
        if self._look is None:
            raise HoneError("Nothing can be shown yet; choose a model and data first.")
        return self._look

    def _encoder(self) -> Encoder:
        return encoder_for(self._ready.data, self._tokenizer, self._template, self._train_on)

    def _read_again(self, text: Text) -> tuple[list[int], list[str]]:
        """The tokens of a text, and what each stands for in it."""
        words = text.rendered.text
        encoded = self._tokenizer(
            words, add_special_tokens=text.is_raw, return_offsets_mapping=True, verbose=False
        )
        return encoded["input_ids"], self._pieces(words, encoded["input_ids"], encoded["offset_mapping"])

    def _pieces(self, text: str, tokens: Sequence[int], offsets: Sequence[tuple[int, int]]) -> list[str]:
        """The text of each token. Blanks that a tokenizer counts to no token go to the one after them."""
        pieces, place = [], 0
        for token, (start, end) in zip(tokens, offsets, strict=True):
            if token in self._special:
                pieces.append(str(self._tokenizer.convert_ids_to_tokens(token)))
            else:
                pieces.append(text[place:end] if place <= start else text[place : max(place, end)])
            place = max(place, end)
        return pieces

    def _shown(self, example: Example, text: Text) -> Shown:
        (tokens, trained), (again, texts) = example, self._read_again(text)
        if tokens[: len(again)] != again:
            raise HoneError("The tokenizer does not give the same tokens twice; this row cannot be shown.")
        texts = texts + [str(self._tokenizer.convert_ids_to_tokens(token)) for token in tokens[len(again) :]]
        limit = len(tokens) if self._in_pieces else self._ready.data.max_length
        step = self._ready.data.max_length - 1
        splits = range(step, len(tokens) - 1, step) if self._in_pieces else ()
        shown = zip(texts, trained, (token in self._special for token in tokens), strict=True)
        return Shown(
            name=text.name,
            tokens=tuple(shown)[:MOST_TOKENS],
            num_tokens=len(tokens),
            num_trained=sum(trained[:limit]),
            num_cut=max(0, len(tokens) - limit),
            num_trained_cut=sum(trained[limit:]),
            splits=tuple(splits),
        )


def _spread(num_rows: int, most: int) -> list[int]:
    """Different rows, all of them or `most`, in an order whose every beginning is spread over them evenly."""
    step = max(1, round(num_rows * 0.6180339887))  # the golden ratio spreads best
    while gcd(step, num_rows) != 1:
        step += 1
    return [number * step % num_rows for number in range(min(num_rows, most))]
