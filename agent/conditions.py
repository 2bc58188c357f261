"""Whether a picture's caption shows that a condition is met, for engines that do not see for themselves.

A caption lists what was recognised: objects, colours, texts and codes. That tells whether somebody is there,
whether the cat is gone, what a sign says; it does not tell whether a cup is empty, whether anybody laughs, or
whose face it is. A small language model, asked about captions, was wrong in three cases of ten and took
seconds for each; so conditions are read by rules, and one that captions cannot tell is refused at once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from hearsight.agent.models.embedded.coco import LABELS, counted

COLOURS: Final = frozenset(
    {"black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown"}
)
_SYNONYMS: Final = {
    "person": "someone somebody anyone anybody people persons man men woman women child children kid kids "
    "boy girl baby visitor visitors guest guests postman mailman courier neighbor neighbour wife husband "
    "mother father mum mom dad son daughter friend friends colleague boss i he she they",
    "bicycle": "bike bikes",
    "motorcycle": "motorbike motorbikes",
    "car": "taxi cab",
    "truck": "lorry van",
    "airplane": "plane planes aeroplane",
    "boat": "ship",
    "bird": "pigeon sparrow",
    "cat": "kitten",
    "dog": "puppy",
    "backpack": "rucksack",
    "suitcase": "luggage",
    "cup": "mug mugs",
    "couch": "sofa",
    "potted plant": "plant plants",
    "dining table": "table tables",
    "tv": "television",
    "laptop": "notebook",
    "cell phone": "phone phones mobile smartphone",
    "refrigerator": "fridge",
    "donut": "doughnut doughnuts",
}
_NUMBERS: Final = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_NOBODY: Final = frozenset({"nobody", "noone"})
_EVERYBODY: Final = frozenset({"everybody", "everyone"})
_LEAVING: Final = frozenset(
    (
        "leave leaves left leaving gone away out disappear disappears disappeared vanish vanishes vanished "
        "removed taken no not none longer without isn't aren't"
    ).split()
)
_FROM_SOMEWHERE: Final = frozenset({"leave", "leaves", "left", "leaving"})
"""What follows is where, not what."""
_BEING: Final = frozenset(
    (
        "a an the some any my your his her its our their this that is are am be been being has have had "
        "gets get got there now again finally and still just here up back of come comes coming came go goes "
        "going enter enters arrive arrives arrived appear appears appeared show shows shown walk walks "
        "stand stands standing sit sits sitting lie lies lying return returns visible seen see present pass "
        "passes pull pulls drive drives park parks parked hold holds holding wear wears wearing carry "
        "carries carrying bring brings delivery home sight view all both more"
    ).split()
)
_PLACES: Final = frozenset(
    (
        "at in into on onto to near by behind before beside under over through from around outside inside "
        "next"
    ).split()
)
_TURNS: Final = frozenset("turn turns turned become becomes go goes is gets".split())
_SURFACES: Final = frozenset("screen display monitor picture everything wall it".split())
_SAYS: Final = frozenset("say says read reads show shows display displays".split())
_WRITTEN: Final = frozenset("sign screen display monitor label text word words number board page it".split())
_FILLING: Final = frozenset("the a an is are that something like word text number message being".split())
_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)?%?")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a caption tells."""

    objects: Mapping[str, int]
    """How many of each kind, of those that are sure."""
    unsure: frozenset[str]
    colours: frozenset[str]
    words: frozenset[str]
    """Of all texts."""
    code: bool

    @classmethod
    def of(cls, caption: str) -> Seen:
        """Read a caption as `SceneDescription.sentence` writes it."""
        texts = " ".join(re.findall(r'text: "([^"]*)"', caption))
        plain = re.sub(r'"[^"]*"', "", caption)
        named = re.search(r"objects: ([^;]*)", plain)
        sure: Counter[str] = Counter()
        unsure = set()
        for each in named[1].split(", ") if named else ():
            label, count = _kind(each.removeprefix("maybe "))
            if each.startswith("maybe "):
                unsure.add(label)
            else:
                sure[label] += count
        colours = re.search(r"main colours: ([^;]*)", plain)
        return cls(
            sure,
            frozenset(unsure),
            frozenset(colours[1].strip().split(", ") if colours else ()),
            frozenset(_words(texts)),
            "QR code:" in plain,
        )


@dataclass(frozen=True, slots=True)
class Condition:
    """What must be recognised, and what must not."""

    there: Mapping[str, int] = field(default_factory=dict)
    """Kinds of objects, and how many at least."""
    gone: frozenset[str] = frozenset()
    colours: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    """Of a text."""
    code: bool = False

    @property
    def reads(self) -> bool:
        """Whether texts have to be read for it, which takes longest."""
        return bool(self.words)

    def holds(self, seen: Seen) -> bool:
        """Whether all of it is so. What is unsure is neither there nor gone."""
        return (
            all(seen.objects.get(label, 0) >= count for label, count in self.there.items())
            and not any(label in seen.objects or label in seen.unsure for label in self.gone)
            and self.colours <= seen.colours
            and self.words <= seen.words
            and (seen.code or not self.code)
        )


def understand(condition: str) -> Condition | None:
    """Read a condition such as "somebody is at the door".

    Returns:
        None where captions cannot tell whether it is so.
    """
    words = _words(condition.replace("no one", "nobody").replace("at least", ""))
    for read in (_read_code, _read_text, _read_colour, _read_objects):
        understood = read(words)
        if understood is not None:
            return understood
    return None


def _read_code(words: Sequence[str]) -> Condition | None:
    if not {"code", "codes"} & set(words) or set(words) - _BEING - {"qr", "code", "codes", "held"}:
        return None
    return Condition(code=True)


def _read_text(words: Sequence[str]) -> Condition | None:
    """The sign says …; the word … appears; number … is shown."""
    for at, word in enumerate(words):
        if word in _SAYS and set(words[:at]) & _WRITTEN and words[at + 1 :]:
            wanted = frozenset(words[at + 1 :]) - _FILLING
            return Condition(words=wanted) if wanted else None
    if words and set(words[:2]) & {"word", "words", "text", "number"}:
        wanted = frozenset(words) - _FILLING - _BEING - _PLACES - _WRITTEN - {"called", "served"}
        return Condition(words=wanted) if wanted else None
    return None


def _read_colour(words: Sequence[str]) -> Condition | None:
    """The screen turns …: the colour of the whole, not of something in it."""
    if len(words) < 3 or words[-1] not in COLOURS or words[-2] not in _TURNS:
        return None
    return Condition(colours=frozenset({words[-1]})) if set(words[:-2]) <= _SURFACES | {"the"} else None


def _read_objects(words: Sequence[str]) -> Condition | None:
    there: dict[str, int] = {}
    main: list[str] = []
    leaving = everybody = in_place = False
    count, most, at = 1, 1, 0
    while at < len(words):
        word = words[at]
        label, length = _object_at(words, at)
        if label is not None:
            there[label] = max(there.get(label, 0), count)
            main += [] if in_place else [label]
            count = 1
        elif word in _NOBODY or word in _EVERYBODY:
            main.append("person")
            everybody |= word in _EVERYBODY
            leaving |= word in _NOBODY
        elif word in _LEAVING:
            leaving, in_place = True, word in _FROM_SOMEWHERE
        elif word in _PLACES:
            in_place = True
        elif word in _NUMBERS or word.isdecimal():
            count = _NUMBERS.get(word) or int(word)
            most = max(most, count)
        elif word not in _BEING and not in_place:
            return None  # it is about something that is not recognised
        at += length
    if not main or (everybody and not leaving) or (leaving and most > 1):
        return None
    return Condition(gone=frozenset(main)) if leaving else Condition(there=there)


def _object_at(words: Sequence[str], at: int) -> tuple[str | None, int]:
    """The object that is named here, and by how many words."""
    for length in (2, 1):
        label = _OBJECTS.get(" ".join(words[at : at + length]))
        if label is not None:
            return label, length
    return None, 1


def _kind(named: str) -> tuple[str, int]:
    """Kind and number of what a caption lists, such as "2 cups"."""
    number, _, name = named.partition(" ")
    if number.isdecimal():
        return _OBJECTS.get(name, name), int(number)
    return _OBJECTS.get(name, name), 1


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower().replace("’", "'").replace("'s ", " "))


def _names() -> dict[str, str]:
    """Every name of every kind of object."""
    names = {}
    for label in LABELS.values():
        names[label] = label
        for count in (1, 2):
            names[counted(label, count).partition(" ")[2]] = label
        for synonym in _SYNONYMS.get(label, "").split():
            names[synonym] = label
    return names


_OBJECTS: Final = _names()
