"""A dataset with one of each mistake people make, among rows that are fine: for learning the problems tab."""

import json

from corpus import Message, turn


def broken_lines(good: list[tuple[str, str]]) -> list[str]:
    """JSON lines; `good` gives eight prompt and answer pairs, of which some are spoiled."""

    def row(messages: list[Message]) -> str:
        return json.dumps({"messages": messages}, ensure_ascii=False)

    question, answer = good[3]
    swapped = [{"role": "assistant", "content": answer}, {"role": "user", "content": question}]
    return [
        row(turn(*good[0])),
        row(turn(*good[1])),
        row(turn(*good[2]))[:-9],
        row([{"role": "user", "content": good[4][0]}]),
        row(turn(good[5][0], "")),
        row(swapped),
        json.dumps({"question": good[6][0], "reply": good[6][1]}, ensure_ascii=False),
        row(turn(*good[0])),
        row(turn(*good[7])),
        row([{"role": "user", "content": question}, {"role": "user", "content": "Please."}, turn(*good[3])[1]]),
        row(turn("Hello!", "Hello! Would you like a story?")),
        row(turn("Hello!", "Hello!" + " Would you like a story?" * 400)),
    ]
