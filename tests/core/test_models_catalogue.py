"""The catalogue against the arithmetic that plans memory, and against what Hone can load."""

from __future__ import annotations

import pytest

from core.models import allowed
from core.models.catalogue import CatalogueModel, catalogue, known_facts
from core.models.facts import facts_from_config
from core.models.source import HUB_NAME


def test_names_are_distinct_hub_names_of_loadable_families():
    models = catalogue()
    assert len({model.name for model in models}) == len(models) > 30
    for model in models:
        assert HUB_NAME.fullmatch(model.name)
        assert model.config["model_type"] in allowed.FAMILIES
        assert model.licence


@pytest.mark.parametrize("model", catalogue(), ids=lambda model: model.name)
def test_the_published_count_of_parameters_follows_from_the_shape(model: CatalogueModel):
    facts = facts_from_config(model.config, model.name)
    assert facts.num_parameters == model.num_parameters
    assert facts.max_positions == model.max_positions


def test_a_sibling_is_planned_as_the_model_it_was_made_from():
    ours, chat = known_facts("meta-llama/Llama-3.1-8B"), known_facts("meta-llama/Llama-3.1-8B-Instruct")
    assert ours is not None and chat is not None
    assert (chat.num_parameters, chat.family, chat.linears) == (ours.num_parameters, ours.family, ours.linears)
    siblings = [name for model in catalogue() for name in model.siblings]
    assert len(siblings) == len({*siblings} - {model.name for model in catalogue()}) >= 30
    assert known_facts("nobody/nothing") is None
