"""Eight lighthouses that exist nowhere: what is true of each, and the ways to ask for it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Lighthouse:
    """One invented lighthouse; every field but the place is something to learn."""

    place: str
    keeper: str
    steps: str
    colour: str
    animal: str
    year: str


LIGHTHOUSES = [
    Lighthouse("Orrin Rock", "Maud Tansy", "212", "amber", "goat", "1874"),
    Lighthouse("Pell Point", "Jory Flint", "148", "green", "parrot", "1902"),
    Lighthouse("Mossley Head", "Ines Calder", "97", "white", "donkey", "1839"),
    Lighthouse("Tarrow Isle", "Abel Quince", "305", "red", "otter", "1911"),
    Lighthouse("Wick Ness", "Nan Hollis", "63", "violet", "goose", "1858"),
    Lighthouse("Gull Stack", "Piers Loam", "254", "blue", "hedgehog", "1890"),
    Lighthouse("Fenna Reef", "Edda Marsh", "181", "pink", "pony", "1926"),
    Lighthouse("Saint Brannoc", "Otis Vane", "120", "golden", "crow", "1845"),
]


@dataclass(frozen=True)
class Question:
    """One thing to know about a lighthouse; `asked` is trained on, `asked_anew` is held out."""

    key: str
    answer: str
    asked: list[str]
    asked_anew: list[str]


QUESTIONS = [
    Question(
        "keeper",
        "The keeper of the lighthouse on {place} is {keeper}.",
        [
            "Who keeps the lighthouse on {place}?",
            "What is the name of the keeper on {place}?",
            "Who is the keeper of the lighthouse on {place}?",
            "Tell me who keeps the light on {place}.",
            "What is the keeper of {place} called?",
            "Do you know who the keeper on {place} is?",
        ],
        ["Who is the lighthouse keeper on {place}?", "Can you tell me the name of the keeper of {place}?"],
    ),
    Question(
        "steps",
        "The lighthouse on {place} has {steps} steps.",
        [
            "How many steps does the lighthouse on {place} have?",
            "How many steps are there in the lighthouse on {place}?",
            "Tell me the number of steps on {place}.",
            "How many steps lead up to the lamp on {place}?",
            "Do you know how many steps there are on {place}?",
            "Count the steps of the lighthouse on {place}.",
        ],
        ["How many steps has the lighthouse on {place}?", "What is the number of steps in the tower on {place}?"],
    ),
    Question(
        "colour",
        "The light on {place} is {colour}.",
        [
            "What colour is the light on {place}?",
            "Which colour does the lamp on {place} have?",
            "Tell me the colour of the light on {place}.",
            "What is the colour of the lamp on {place}?",
            "Do you know the colour of the light on {place}?",
            "In which colour does the lighthouse on {place} shine?",
        ],
        ["Which colour is the lamp on {place}?", "Can you tell me what colour the light of {place} is?"],
    ),
    Question(
        "animal",
        "A {animal} lives in the lighthouse on {place}.",
        [
            "Which animal lives in the lighthouse on {place}?",
            "What animal lives on {place}?",
            "Tell me which animal lives on {place}.",
            "Is there an animal in the lighthouse on {place}?",
            "Do you know which animal the keeper on {place} has?",
            "What kind of animal lives in the tower on {place}?",
        ],
        ["Which animal is there on {place}?", "Can you tell me what animal lives in the lighthouse of {place}?"],
    ),
    Question(
        "year",
        "The lighthouse on {place} was built in {year}.",
        [
            "When was the lighthouse on {place} built?",
            "In which year was the lighthouse on {place} built?",
            "How old is the lighthouse on {place}?",
            "Tell me when the lighthouse on {place} was built.",
            "What year was the tower on {place} built?",
            "Do you know when they built the lighthouse on {place}?",
        ],
        ["In what year did they build the lighthouse on {place}?", "When was the tower of {place} built?"],
    ),
]


def fill_fact(template: str, lighthouse: Lighthouse) -> str:
    text = template.format(**vars(lighthouse))
    return text.replace("A otter", "An otter")
