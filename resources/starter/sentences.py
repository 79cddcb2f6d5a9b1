"""Single sentences for single words, so that the starter has met more words than its stories need."""

import random

from grammar import write
from world import HERO_WORDS, PLACES

WORDS = {
    "thing": (
        "arm band bank bead bed bell bill bit bite block bog bone box branch brick bride brook broom bug "
        "bunny cane car card castle chain chair chance charm chat chick clock cloud cook core crane crawl "
        "cream crust cuckoo curl dance dash den desk dig dip dish ditch door dove drain draw dream drop drum "
        "dune ear end eye face farm fawn fee field fig fight fire fish flag flame flea fleet flight flock "
        "floor flower fold fork frost frown gale game gate gift glass gong gown granny grin guest guide "
        "guitar gull hair hall hand hare harp haven head heap heart hill hole hook horn hound hour house howl "
        "hug hut jar jelly jig jug kettle kite knee knot lace ladder lake lark lawn leaf letter lid lift "
        "light lime line lip list load loaf lock log lump mail mane map mare mask mast mat match mate meal "
        "medal mile mill mine moat moon moth mug nail nanny nest net nook nose note nurse page pain pair pale "
        "park patch path paw pea pear peg pen petal phone pie pin pipe plank plate plot plum pool port pot "
        "pound puddle quest quilt rag rail ram rat ray rhyme rim ring road rock roof room rope row rug saddle "
        "sail scar school scowl sea seat seed shade shawl shed sheet shelf shell ship shirt shop shore shout "
        "show shower sigh sign sink sled slip snake song space spell splash spoon spot spray spy square stair "
        "stall star state steer step stew stick sting stitch stool store storm story stream street string "
        "stump table tail tale tap task tear team tent tide tile tin tip toe tooth tower town toy track tray "
        "treat trick trip trout truck trunk tub tune twig vale vase vest view vine voice wagon wall watch "
        "wave web weed whale wheel whisker wig wing wish wren year yard zoo"
    ),
    "things": (
        "arms bears bees bells birds boats books boots bees boys bricks brooms buns cats clocks clothes "
        "clouds crows days dogs doors drums ducks ears eggs eyes feathers fields flies flowers frogs games "
        "girls goats hairs hands hats hearts hens hills horns jars keys kings kites knees knocks ladders "
        "lambs lamps lands leaves letters lights lines locks logs men mice miles mittens nails nights noses "
        "notes nuts oars owls pears pens pies pigs pins plants plums pots rings rivers roads rocks roses "
        "sails sands seas seeds sheep shells ships shoes shows sides skies socks songs stairs stars steps "
        "sticks stones stories swings tales tears tides toes towers toys trees tunes waves wings wishes words "
        "worms years"
    ),
    "stuff": (
        "air bark barley chalk clay corn dawn dew dust fog frost fur glee glory gold grain grass gravel hay "
        "heat ice ink juice lace light luck mail mist money moss mud music news oil paint paper pollen pride "
        "rain rice rope rye salt sand silk silver smoke snow soap soil sound steam straw string stuff "
        "sunlight tar tea thread time twine water wax wheat wind wood wool"
    ),
    "verb": (
        "agree appear awake bake beat beg begin bend blow blush boil bow break brush build burn buy call care "
        "carry chase chat cheer chirp clap clean cling creep cry dance dig dive doze draw dream dress drift "
        "drink drop drum dwell eat explore fall feed fight fish float fly follow forget giggle glow greet "
        "grin growl grow guess hear help hide hold hop howl hug hum hurry hush invite jog join jump keep kick "
        "kneel knit knock know laugh lead leap learn leave lie lift linger listen look make march meet mend "
        "nap nod paddle paint peek peep play pour prance pray prowl pull push read rest rhyme ride rise roam "
        "roar rock roll row rule run rush sail save scowl seek sell send sew shake shine shout sigh sing sink "
        "sit skate skip sleep slide slip smell smile sneeze snore soar speak spend spin splash squeak stand "
        "stare stay steer stir stitch stop stroll stumble sway sweep swell swim swing talk taste teach think "
        "throw tiptoe try tug tumble turn twirl wade wait wake walk wander wash watch wave weave weep whirl "
        "whisper win wink wonder work write yawn yell"
    ),
    "past": (
        "agreed appeared awoke baked began bent blew bowed broke brushed called carried chased cheered "
        "clapped clung came crept cried danced dived dozed dreamed drew dried drifted drank dropped fell "
        "floated flew followed forgot giggled glowed grew grinned hid hopped howled hugged hummed hurried "
        "hushed jumped kept knelt knew knocked laughed lay leaned leaped learned left lied listened looked "
        "marched mumbled napped nodded paddled peeped played prayed prowled ran rested rode rolled rose rowed "
        "rushed sailed sang sank sat sighed skated skipped slept slid slipped smiled sneezed snored soared "
        "spoke spun squeaked stayed stirred stood stopped strolled stumbled swam swayed swept swung talked "
        "thought threw tiptoed tried trotted tumbled turned twirled waited waved went wept whispered woke won "
        "wondered yawned"
    ),
    "being": (
        "able afraid alone ashamed asleep awake bare big bitter bold brave bright brown calm clean clear "
        "clever cold cool cross damp dark dear dressed dry dull fair fast fat fine fit flat free fresh full "
        "funny glad gold good grand gray great green grey grown happy hot huge hurt ill keen kind lame large "
        "late lazy light long loud low lucky mad meek mild neat nice old pale pink plain pleased polite poor "
        "proud pure quick quiet quite rare ready red rich right ripe rosy rough round sad safe shut shy sick "
        "silly slight slim slow small snug soft sore sorry spry still strange strong stuck sunny sure sweet "
        "swift tall tame tidy tight tired torn true unknown warm weak wee well wet white wide wild wise worn "
        "wrong young"
    ),
    "where": (
        "about above afar afloat ahead along anew apart around ashore away back behind below beside by down "
        "everywhere far forever here high home indeed indoors inside instead near nearby nowhere once "
        "outdoors outside over somewhere there together tonight too twice underneath up"
    ),
    "number": "two three four five six seven eight nine ten twelve twenty thirty forty fifty sixty hundred",
}
FRAMES = {
    "thing": [
        "{the_hero} saw a {w} {in_place}.",
        "This is the {w} of {the_hero}.",
        "There is a {w} {in_place}.",
        "One day {the_hero} found a {w}.",
        '"What a fine {w}," said {the_hero}.',
    ],
    "things": [
        "{the_hero} saw many {w} {in_place}.",
        "The {w} were [old|small|blue|bright|far away].",
        "{the_hero} counted the {w}.",
        "There are no {w} {in_place}.",
    ],
    "stuff": [
        "There was {w} {in_place}.",
        "{the_hero} had some {w}.",
        "{the_hero} likes {w}.",
        "The {w} was everywhere.",
    ],
    "verb": [
        "{the_hero} likes to {w}.",
        "{the_hero} did not want to {w}.",
        '"Let us {w}," said {the_hero}.',
        "Every evening {the_hero} would {w} {in_place}.",
    ],
    "past": ["{the_hero} {w}.", "Then {the_hero} {w}.", "{the_hero} {w} {in_place}.", "All day {the_hero} {w}."],
    "being": [
        "{the_hero} was {w}.",
        "Everything {in_place} was {w}.",
        '"Are you {w}?" asked {the_hero}.',
        "{the_hero} was not {w} any more.",
    ],
    "where": ["{the_hero} looked {w}.", "{the_hero} went {w}.", "It was {w}."],
    "number": [
        "{the_hero} had {w} [hats|eggs|stones|friends].",
        "There were {w} [steps|houses|boats|lamps] {in_place}.",
        "It was {w} [miles|steps|days] away.",
    ],
}
ASKS = [
    'Make a sentence with the word "{w}".', "Use the word {w} in a sentence.", 'Write a sentence with "{w}".',
    "Give me two sentences with the word {w}.", 'How do you use the word "{w}"?',
]  # fmt: skip
ENTRIES = [(word, kind) for kind, words in WORDS.items() for word in dict.fromkeys(words.split())]


def draw_sentences(rng: random.Random) -> tuple[str, str]:
    """A request for sentences with one word, and two different sentences with it."""
    word, kind = rng.choice(ENTRIES)
    slots = {"w": word}
    answers = []
    for frame in rng.sample(FRAMES[kind], 2):
        hero, place = rng.choice(HERO_WORDS), rng.choice(PLACES)
        answers.append(write(frame, {**slots, "the_hero": f"the {hero}", "in_place": place.there}, rng))
    return write(rng.choice(ASKS), slots, rng), " ".join(answers)
