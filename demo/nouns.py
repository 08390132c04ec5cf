"""Words for what the demo world holds, and for much of what it does not."""

from __future__ import annotations

from demo.scenes import Kind

# singular, plural; the first is the one that answers use
NAMES: dict[Kind, tuple[tuple[str, str], ...]] = {
    Kind.CIRCLE: (("circle", "circles"), ("disc", "discs"), ("disk", "disks"),
                  ("round shape", "round shapes"), ("ball", "balls")),
    Kind.SQUARE: (("square", "squares"), ("square shape", "square shapes"), ("quad", "quads")),
    Kind.TRIANGLE: (("triangle", "triangles"), ("triangular shape", "triangular shapes")),
    Kind.STAR: (("star", "stars"), ("star shape", "star shapes"),
                ("five-pointed star", "five-pointed stars")),
    Kind.PERSON: (("person", "persons"), ("person", "people"), ("human", "humans"),
                  ("pedestrian", "pedestrians"), ("human being", "human beings"),
                  ("figure of a person", "figures of a person")),
    Kind.CAR: (("car", "cars"), ("vehicle", "vehicles"), ("automobile", "automobiles")),
    Kind.FIRE: (("fire", "fires"), ("flame", "flames"), ("blaze", "blazes")),
}  # fmt: skip

# Presence can be asked for without an article too: "Is there smoke?", "Do you see people?"
BARE: dict[Kind, tuple[str, ...]] = {
    Kind.PERSON: ("people", "anyone", "anybody", "someone", "somebody", "any person"),
    Kind.FIRE: ("fire", "flames", "any fire", "something burning", "anything on fire"),
    Kind.CAR: ("cars", "any car", "traffic", "any vehicle"),
    Kind.CIRCLE: ("circles", "any circle", "something round"),
    Kind.SQUARE: ("squares", "any square"),
    Kind.TRIANGLE: ("triangles", "any triangle"),
    Kind.STAR: ("stars", "any star"),
}

# Not in the world: a truthful answer about any of them is no.
_FOREIGN = """
dog cat horse cow sheep pig goat chicken duck goose bird eagle owl parrot penguin fish shark
whale dolphin frog snake lizard turtle crocodile lion tiger bear wolf fox rabbit hare mouse rat
squirrel hedgehog deer moose elephant giraffe zebra monkey gorilla kangaroo camel donkey bee
butterfly spider ant fly mosquito worm snail crab lobster tree flower bush leaf forest mountain
hill river lake ocean beach island desert cloud rainbow moon sunset storm rock stone house
building tower bridge castle church school hospital shop factory garage barn fence wall door
window roof chimney stair ladder bench chair table sofa bed lamp shelf cupboard mirror curtain
carpet pillow blanket clock watch phone telephone laptop computer keyboard screen monitor
printer camera television radio speaker microphone headphone cable battery plane airplane
helicopter rocket drone balloon boat ship sailboat submarine canoe train tram bus truck lorry
van tractor bicycle bike motorcycle scooter skateboard wheelchair stroller bottle cup mug glass
plate bowl fork knife spoon pan pot kettle oven fridge toaster stove apple banana pear peach
cherry grape lemon melon strawberry pineapple tomato potato carrot onion pepper cucumber
mushroom pumpkin bread cake cookie pizza sandwich burger sausage egg cheese hat cap helmet shirt
jacket coat dress skirt shoe boot sock glove scarf tie belt bag backpack suitcase umbrella
wallet key coin book newspaper letter envelope pencil pen brush scissors hammer screwdriver saw
drill nail rope chain bucket broom shovel hose gun sword weapon bomb baton flag sign poster
painting statue trophy medal crown ring necklace guitar piano violin drum trumpet flute football
basketball racket puck kite doll robot dragon unicorn ghost monster alien wizard king queen
knight pirate baby heart arrow cross hexagon pentagon octagon rectangle oval spiral diamond
crescent cube sphere pyramid cone cylinder number logo text face hand foot eye nose
"""
FOREIGN: tuple[str, ...] = tuple(_FOREIGN.split())
MASS: tuple[str, ...] = (
    "smoke", "water", "snow", "rain", "ice", "grass", "sand", "dust", "fog", "text", "writing",
    "money", "food", "furniture", "blood", "lightning", "an explosion", "an accident", "a crowd",
    "a fight", "a leak", "a flood",
)  # fmt: skip


def with_article(noun: str) -> str:
    """The noun after its indefinite article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def plural_of(noun: str) -> str:
    """A regular plural; the foreign nouns need no better."""
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"
