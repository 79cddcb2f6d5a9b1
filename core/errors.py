"""The one error a person can mend: a sentence that says what is wrong, where, and how to put it right."""

from __future__ import annotations


class HoneError(Exception):
    """A mistake or a missing thing that the user can mend; never shown with a traceback.

    `message` is one sentence. `path` is the config path the mistake belongs to ("optim.learning_rate"),
    so that a form can show it beside the field; empty when it belongs to no field.
    """

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.path = path
