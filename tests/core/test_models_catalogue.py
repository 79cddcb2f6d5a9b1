"""The catalogue against the arithmetic that plans memory, and against what Hone can load."""

from __future__ import annotations

import pytest

from core.models import allowed
from core.models.catalogue import CatalogueModel, catalogue
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
