"""The words of each setting: the docstrings under fields of models, read when a form or a file is to show them.

Pydantic reads them too, of every class as it is imported, which is a seventh of what an estimate takes.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import sys
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo


@functools.cache
def described(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields by name, in order, of a model that stands in a module, each with its docstring as its
    description."""
    declared = next(one for one in _classes(model.__module__) if one.name == model.__name__)
    for field, words in itertools.pairwise(declared.body):
        match field, words:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                model.model_fields[name].description = inspect.cleandoc(text)
    return model.model_fields


@functools.cache
def _classes(module: str) -> list[ast.ClassDef]:
    """The classes of a module that is loaded. All at once: to look for one alone takes longer."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return [node for node in tree.body if isinstance(node, ast.ClassDef)]


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a model, with descriptions of its fields and of those of the models in them."""
    for part in (*_parts(model), model):
        described(part)
        part.model_rebuild(force=True)
    return model.model_json_schema()


def _parts(model: type[BaseModel]) -> list[type[BaseModel]]:
    """The models that a model's fields hold, one of several or one alone."""
    held = [info.annotation for info in model.model_fields.values()]
    kinds = [kind for annotation in held for kind in get_args(annotation) or (annotation,)]
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
