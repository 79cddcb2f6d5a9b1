"""The draft: one way in, one signal out, and every step of the way back."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.state.draft import Draft
from core.config import RunConfig
from core.methods.presets import first_config

EDITS = st.sampled_from(
    [
        {"method.rank": 8}, {"method.rank": 32}, {"optim.epochs": 1}, {"optim.epochs": 7},
        {"model.quantization": "nf4"}, {"data.max_length": 64, "optim.batch_size": 1}, {"method.kind": "full"},
        {"optim.epochs": 0}, {"nonsense": 1}, {"optim.learning_rate": 1e-5},
    ]
)  # fmt: skip


def heard(draft: Draft) -> tuple[list[RunConfig], list[tuple[str, str]]]:
    changes: list[RunConfig] = []
    refusals: list[tuple[str, str]] = []
    draft.changed.connect(changes.append)
    draft.rejected.connect(lambda path, message: refusals.append((path, message)))
    return changes, refusals


def test_an_edit_is_heard_once_and_only_when_it_changes_something(qapp):
    draft = Draft()
    changes, _ = heard(draft)
    draft.set("method.rank", 32)
    draft.set("method.rank", 32)
    assert [config.value("method.rank") for config in changes] == [32]
    assert draft.config.value("method.rank") == 32


def test_a_wrong_value_is_refused_with_its_place_and_changes_nothing(qapp):
    draft = Draft()
    changes, refusals = heard(draft)
    before = draft.config
    draft.set("optim.epochs", 5000)
    assert draft.config is before and not changes
    [(path, message)] = refusals
    assert path == "optim.epochs" and "at most 1" in message


def test_a_group_of_values_is_one_step_and_all_or_nothing(qapp):
    draft = Draft()
    draft.set_many({"method.rank": 8, "optim.epochs": 0})
    assert draft.config == first_config() and not draft.can_undo
    draft.set_many({"method.rank": 8, "optim.epochs": 1})
    draft.undo()
    assert draft.config == first_config()


def test_typing_is_one_step_of_undo_but_a_pause_begins_another(qapp, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("app.state.draft.time.monotonic", lambda: clock[0])
    draft = Draft()
    for length in (20, 204, 2048):
        draft.set("data.max_length", length)
        clock[0] += 0.2
    clock[0] += 5
    draft.set("data.max_length", 4096)
    draft.undo()
    assert draft.config.data.max_length == 2048
    draft.undo()
    assert draft.config == first_config() and not draft.can_undo


def test_marks_and_resets_are_measured_against_the_origin(qapp):
    draft = Draft()
    draft.set("method.rank", 64)
    assert draft.is_changed("method.rank") and not draft.is_changed("optim.epochs")
    draft.reset("method.rank")
    assert draft.config == first_config()
    draft.replace(RunConfig().with_value("method.rank", 8), as_origin=True)
    assert not draft.is_changed("method.rank")
    draft.set("method.kind", "full")
    assert not draft.is_changed("method.rank"), "a setting that the method lacks is not changed"


def test_another_model_brings_its_recipe_and_leaves_what_was_changed(qapp):
    draft = Draft()
    draft.set("method.rank", 64)
    draft.choose_model("/models/large")
    assert draft.config.model.source == "/models/large" and draft.config.value("method.rank") == 64
    assert draft.config.optim.learning_rate == 2e-4, "the rate for a tiny model would wreck a large one"
    assert draft.is_changed("method.rank") and not draft.is_changed("optim.learning_rate")
    draft.choose_model("/models/other")
    assert draft.config.value("method.rank") == 64 and draft.config.model.source == "/models/other"
    draft.undo()
    draft.undo()
    assert draft.config == first_config().with_value("method.rank", 64)


def test_another_model_keeps_another_method(qapp):
    draft = Draft()
    draft.set_many({"method.kind": "full", "optim.learning_rate": 1e-5})
    draft.choose_model("/models/large")
    assert draft.config.method.kind == "full" and draft.config.optim.learning_rate == 1e-5


def test_the_next_window_has_the_draft_again(qapp):
    draft = Draft.restored()
    draft.set_many({"method.rank": 48, "data.source": "sample:facts"})
    draft.keep()
    again = Draft.restored()
    assert again.config == draft.config and again.name == "facts"


def test_a_broken_draft_file_costs_only_the_draft(qapp, hone_home):
    hone_home.mkdir()
    (hone_home / "draft.yaml").write_text("optim: {epochs: never}")
    assert Draft.restored().config == first_config()


def test_the_name_follows_the_data_until_a_person_gives_one(qapp):
    draft = Draft()
    names: list[str] = []
    draft.renamed.connect(names.append)
    draft.set("data.source", "sample:facts")
    assert draft.name == "facts" and names[-1] == "facts"
    draft.rename("lighthouses")
    draft.set("data.source", "sample:poems")
    assert draft.name == "lighthouses"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(EDITS, max_size=12))
def test_undo_and_redo_walk_the_same_road(qapp, edits):
    draft = Draft()
    road = [draft.config]
    for edit in edits:
        draft.set_many(edit)
        if draft.config != road[-1]:
            road.append(draft.config)
    for config in reversed(road[:-1]):
        draft.undo()
        assert draft.config == config
    assert not draft.can_undo
    for config in road[1:]:
        draft.redo()
        assert draft.config == config
    assert not draft.can_redo


@pytest.mark.parametrize("path", ["method.rank", "optim.learning_rate"])
def test_an_edit_after_undo_ends_the_way_forward(qapp, path):
    draft = Draft()
    draft.set(path, 0.5 if path.startswith("optim") else 8)
    draft.undo()
    draft.set("optim.epochs", 9)
    assert not draft.can_redo
