"""`hone chat`: one prompt to the base and to adapters, side by side."""

from __future__ import annotations

import argparse

from core.chat import ChatClient, Sampling
from core.cli.output import ProgressLine, note, say, say_json
from core.cli.stores import chosen_store
from core.columns import compared
from core.errors import HoneError
from core.events import Progress, Replied, Token, Warned


def chat(options: argparse.Namespace) -> int:
    """Ask all columns the same thing; stream the answer where there is only one."""
    store = chosen_store(options)
    columns = compared([store.find(text) for text in options.runs_asked], with_base=options.base)
    sampling = asked_sampling(options)
    line = ProgressLine()

    def told(event: Progress | Warned) -> None:
        line.note(f"Note: {event.message}") if isinstance(event, Warned) else line.show(event.label)

    with ChatClient() as client:
        ready = client.load(columns, said=told)
        line.clear()
        streams = len(columns) == 1 and not options.json
        replies: list[Replied] = []
        for event in client.ask(options.prompt, sampling=sampling):
            match event:
                case Token() if streams:
                    print(event.text, end="", flush=True)
                case Warned():
                    note(f"Note: {event.message}")
                case Replied():
                    replies.append(event)
    replies.sort(key=lambda reply: reply.column)
    if options.json:
        say_json({
            "prompt": options.prompt,
            "sampling": sampling.model_dump(),
            "answers": [
                {
                    "column": columns[reply.column].name,
                    "kind": columns[reply.column].kind,
                    "step": columns[reply.column].step,
                    "weights": columns[reply.column].folder or columns[reply.column].model.source,
                    "text": reply.text,
                    "reason": reply.reason,
                    "num_tokens": reply.num_tokens,
                    "tokens_per_second": reply.tokens_per_second,
                    "largest_logit_difference_to_base": ready.logit_differences[reply.column],
                }
                for reply in replies
            ],
        })  # fmt: skip
    elif streams:
        say()
    else:
        for reply in replies:
            column = columns[reply.column]
            say(f"── {column.name} ({column.badge})\n{reply.text.strip()}\n")
    return 0


def asked_sampling(options: argparse.Namespace) -> Sampling:
    """How to choose tokens, from the options. Raises HoneError for a value out of range."""
    from pydantic import ValidationError

    try:
        return Sampling(temperature=options.temperature, max_tokens=options.max_tokens, seed=options.seed)
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise HoneError(f"--{option} {first['input']} is out of range: {first['msg'].lower()}.") from None
