"""Writes four rhyming lines about a scene: a couplet that brings the hero in, a couplet for the event."""

import random

from grammar import write
from stories import Scene

OPENINGS = [
    "{A_hero} lived beside the sea,\nas happy as a {word} can be.",
    "There was {a_hero} upon the hill\nwho never, never could sit still.",
    "{A_hero} got up one sunny day\nand ran outside to dance and play.",
    "Below the stars, below the moon,\n{a_hero} sang a little tune.",
    "{A_hero} lived in a hollow tree\nand every day drank cups of tea.",
    "Behind the farm, behind the wall,\nthere was {a_hero} not big at all.",
    "{A_hero} sat upon a stone\nand thought of something all alone.",
    "A long, long time ago, they say,\n{a_hero} came along this way.",
    "Beside the lake, beside the mill,\n{a_hero} lived and lives there still.",
    "The wind was cold, the wind was strong,\n{a_hero} sang a merry song.",
    "{A_hero} had a heart of gold,\nand that is why this tale is told.",
    "{A_hero} lived inside a boat\nand wore a warm and woolly coat.",
    "{A_hero} lived beside a well\nand rang a tiny silver bell.",
    "{A_hero} had a rocking chair\nand pots of flowers everywhere.",
    "{A_hero} put {his} basket down\nand walked all morning to the town.",
    "There was {a_hero} in a house of wood\nwho tried to be both kind and good.",
]
EVENTS = {
    "lost": [
        "{he} lost {his} {thing} one windy day\nand found it in a heap of hay.",
        "{he} lost {his} {thing} out in the snow\nand found it by the wall below.",
        "{his} {thing} was lost, {he} looked around,\nand in the grass it soon was found.",
    ],
    "found": [
        "{he} found a {treasure} near the tree,\nas shiny as a thing can be.",
        "{he} found a {treasure} on the ground\nand showed it to {his} friends around.",
        "{he} found a {treasure} in the night,\nand all the room was filled with light.",
    ],
    "broke": [
        "{he} broke a {pot} and felt so bad,\nthen told the truth, and all were glad.",
        "The {pot} fell down and broke in two,\nbut {he} knew how to use some glue.",
    ],
    "built": [
        "{he} built a {building} strong and tall,\nand it was big enough for all.",
        "{he} built a {building} out of wood,\nand all {his} friends said it was good.",
    ],
    "planted": [
        "{he} gave the {seed} seed rain and sun,\nand then there was enough for everyone.",
        "{he} put a {seed} seed in a row\nand sang all night to make it grow.",
    ],
    "baked": [
        "{he} mixed and stirred and did {his} best,\nand there was {cake} for every guest.",
        "{he} baked a {cake} so warm and sweet,\nand all the neighbours came to eat.",
        "{he} baked a {cake} one afternoon\nand ate it with a silver spoon.",
    ],
    "swapped": [
        "{he} gave {his} {thing} for something new,\nbut then {he} missed it. So would you!",
        "{he} swapped {his} {thing} and then felt sad,\nfor it was all {he} ever had.",
    ],
    "painted": [
        "{he} painted {his} {painted} all day long\nand sang the brush a happy song.",
        "{his} {painted} was grey and now is bright,\nthe finest thing by day and night.",
    ],
    "mended": [
        "{he} took the {broken} that would not go\nand mended it by candle glow.",
        "The {broken} was broken, {he} worked all night,\nand in the morning it was right.",
    ],
    "gave": [
        "{he} gave {his} {thing} away one day,\nand joy came back to {him} to stay.",
        "{he} gave {his} {thing} to a new friend,\nand they were friends until the end.",
    ],
    "letter": [
        "A letter flew across the sea,\nand it said, \"Come and visit me.\"",
        "{he} read the letter by the light\nand wrote an answer late that night.",
    ],
    "box": [
        "{he} had a box with something inside,\nand when {he} saw it, {he} laughed and cried.",
        "{he} opened {his} little box one day,\nand all the sadness flew away.",
    ],
    "learned": [
        "{he} wanted to {skill} and tried all day,\nuntil at last {he} found the way.",
        "{he} tried to {skill} by day and night\nuntil at last {he} got it right.",
        "{he} tried to {skill} and fell on {his} nose,\nthen stood up tall upon {his} toes.",
    ],
    "afraid": [
        "{he} was afraid of {fear}, it is true,\nbut friends can help, and so they do.",
        "{he} was afraid of {fear}, I know,\nbut friends can help, and told {him} so.",
    ],
    "wished": [
        "{he} made a wish upon a star\nthat shone above {him} from afar.",
        "{he} made a wish, and it came true,\nbut then {he} did not know what to do.",
    ],
    "lonely": [
        "{he} had no friends and lived alone,\nbut then {he} found one of {his} own.",
        "{he} looked for a friend both far and near,\nand then one knocked and said, \"I am here!\"",
    ],
    "catch": [
        "{he} jumped to catch {target} so high,\nbut left it there up in the sky.",
        "{he} ran to catch {target} one day,\nbut then {he} let it fly away.",
    ],
    "race": [
        "{he} ran the race with all {his} might\nand did not stop until the night.",
        "{he} ran the race and would not stop\nuntil {he} came up to the top.",
    ],
    "contest": [
        "{he} won the prize, the cup of gold,\nthe finest one to have and hold.",
        "They gave the prize, {he} won it all,\nand now it is upon the wall.",
    ],
    "sleepless": [
        "{he} could not sleep, {he} lay in bed,\nwith too many thoughts inside {his} head.",
        "{he} could not sleep, {he} counted sheep,\nand then at last {he} fell asleep.",
    ],
    "laugh": [
        "{he} never laughed until one day\na goat in boots came by to play.",
        "{he} never laughed, and then {he} did,\nand under the table the kettle hid.",
    ],
    "sang": [
        "{he} sang so loud, {he} sang so long,\nthe sailors came home by the song.",
        "{his} voice was loud, it shook the wall,\nbut in the fog it saved us all.",
    ],
    "small": [
        "{he} was too small to open the door,\nbut small is good for so much more.",
        "{he} was so small, but brave and true,\nand did what no one else could do.",
    ],
    "hungry": [
        "{he} ate the {treats}, every one,\nand had to lie down in the sun.",
        "{he} ate the {treats} off the plate,\nand was so sorry, but too late.",
    ],
    "helped": [
        "{he} helped a {hurt} and was its friend\nand stayed beside it to the end.",
        "{he} saw a {hurt} that wanted to cry\nand helped it under the open sky.",
    ],
    "met": [
        "{he} met a {stranger} and did not run,\nand soon the two had so much fun.",
        "{he} met a {stranger} on the way\nand asked it home with {him} to stay.",
    ],
    "got-lost": [
        "{he} lost {his} way, but saw a light\nthat led {him} safely through the night.",
        "{he} lost the path and sat on a stone,\nbut a friend came by, {he} was not alone.",
    ],
    "journey": [
        "{he} looked for {goal} far and near,\nand all along the best was here.",
        "{he} looked for {goal} with a friend\nand sang until the very end.",
    ],
    "birthday": [
        "{his} birthday came, and what a day,\nwith cake and songs and friends to play.",
        "{he} thought that {his} birthday was nothing new,\nthen out jumped friends and a present too.",
    ],
    "hatched": [
        "{he} found an egg and kept it warm\nall through the winter and the storm.",
        "{he} kept the egg beside the bed,\nand out there came a tiny head.",
    ],
    "storm": [
        "The {weather} came, {he} hid from the cold\nas long as the roof of the barn could hold.",
        "{he} hid from the {weather} in a tree\nwith room enough inside for three.",
    ],
    "lie": [
        "{he} told a lie, and it felt bad,\nthen told the truth, and all were glad.",
        "{he} told a lie to all around,\nbut soon, so soon, the truth was found.",
    ],
    "shared": [
        "{he} shared {his} {food} with a friend,\nand so this day had a happy end.",
        "{he} had some {food}, a plate for two,\nand said, \"Here, this is all for you.\"",
    ],
    "noise": [
        "{he} heard a noise one winter night,\nbut all was well by candle light.",
        "{he} heard a noise upon the stair\nand looked, but only a mouse was there.",
    ],
    "footprints": [
        "{he} followed the {trail} all the way\nuntil it was the end of day.",
        "{he} followed the {trail} through the town\nand up the hill and then back down.",
    ],
    "missed": [
        "{he} missed the {vehicle}, it would not wait,\nand all because {he} came too late.",
        "{he} came too late for the {vehicle} that day\nand rode in a cart on a heap of hay.",
    ],
    "lamp": [
        "{he} lit a lamp and let it glow\nfor sailors lost in wind and snow.",
        "{he} kept {his} light all through the night\nand led the sailors home all right.",
    ],
    "work": [
        "{he} was so lazy, {he} slept until noon\nand worked by the light of the silver moon.",
        "{he} would not help, {he} lay in bed,\n\"Now I will work,\" at last {he} said.",
    ],
    "secret": [
        "{he} kept a secret, would not tell,\nand dropped it down a wishing well.",
        "{he} had a secret, {he} kept it well,\nand nobody heard {him} ever tell.",
    ],
    "snowman": [
        "{he} made a snowman big and round\nthat danced and hopped upon the ground.",
        "{he} made a snowman in the snow\nand was so sad to see it go.",
    ],
}  # fmt: skip


def write_poem(scene: Scene, rng: random.Random) -> str:
    """Four lines, AABB; each line starts with a capital."""
    template = f"{rng.choice(OPENINGS)}\n{rng.choice(EVENTS[scene.plot.key])}"
    lines = (write(line, scene.slots, rng) for line in template.splitlines())
    return "\n".join(line[0].upper() + line[1:] if line[0] != '"' else line for line in lines)
