"""The checkable score: verse that rhymes counts, everything else does not."""

import json

import pytest

from core.rhyme import FAMILIES_FILE, is_rhyming_verse, rhymes, rhyming_share

COUPLETS = (
    "A little fox lived by the sea,\n"
    "beside an old and hollow tree.\n"
    "She lost her hat one windy day\n"
    "and watched it as it blew away."
)
ALTERNATE = (
    "The moon came up above the hill,\n"
    "a star fell in the sea.\n"
    "The mouse lay in the grass, quite still,\n"
    "and counted one, two, three."
)
PROSE = (
    "Once upon a time there was a fox who lived by the sea. She had a red hat and she loved it very much.\n"
    "One day the hat was gone.\nShe looked under the tree.\nThen she went home."
)
UNRHYMED = (
    "A little fox lived by the sea,\n"
    "beside an old and hollow barn.\n"
    "She lost her hat one windy day\n"
    "and watched it as it flew to town."
)
REPEATED = (
    "A little fox lived by the sea,\n"
    "and often swam out in the sea.\n"
    "She lost her hat one windy day\n"
    "and looked for it the livelong day."
)


@pytest.mark.parametrize("text", [COUPLETS, ALTERNATE, COUPLETS + "\n\n" + COUPLETS, COUPLETS.replace(",", "!")])
def test_verse_that_rhymes(text):
    assert is_rhyming_verse(text)


@pytest.mark.parametrize(
    "text",
    [
        PROSE, UNRHYMED, REPEATED, "", "\n\n", "The fox lost her hat.",
        COUPLETS.replace("\n", " "),
        "\n".join(COUPLETS.splitlines()[:2]),
        "\n".join(COUPLETS.splitlines()[:3]),
        COUPLETS + "\nThe end.",
        COUPLETS.replace("tree", "zorbee"),
        COUPLETS.replace("A little fox", "A little fox " + "who was very small and very quick " * 2),
        "...\n...\n...\n...",
    ],
)  # fmt: skip
def test_everything_else(text):
    assert not is_rhyming_verse(text)


def test_a_word_does_not_rhyme_with_itself_or_with_the_unknown():
    assert rhymes("moon", "Spoon")
    assert not rhymes("moon", "moon")
    assert not rhymes("moon", "lamp")
    assert not rhymes("zorbee", "florbee")


def test_share():
    assert rhyming_share([COUPLETS, PROSE, ALTERNATE, UNRHYMED]) == 0.5
    assert rhyming_share([]) == 0.0


def test_the_table_holds_plain_words_in_families_of_two_or_more():
    table = json.loads(FAMILIES_FILE.read_text(encoding="utf-8"))
    assert len(table) > 100
    for family, words in table.items():
        assert len(set(words)) == len(words) >= 2, family
        assert all(word.isascii() and word.isalpha() and word.islower() for word in words), family
