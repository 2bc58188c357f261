"""The 80 kinds of objects of the COCO dataset (Lin et al., 2014), by the ids that detectors give them."""

from __future__ import annotations

from typing import Final

_NAMES: Final = (
    "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, -, "
    "stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, -, "
    "backpack, umbrella, -, -, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, "
    "baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle, -, wine glass, cup, fork, "
    "knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, "
    "chair, couch, potted plant, bed, -, dining table, -, -, toilet, -, tv, laptop, mouse, remote, keyboard, "
    "cell phone, microwave, oven, toaster, sink, refrigerator, -, book, clock, vase, scissors, teddy bear, "
    "hair drier, toothbrush"
)
LABELS: Final = {
    number: name for number, name in enumerate(_NAMES.split(", "), start=1) if name != "-"
}  # fmt: skip
"""Ids run from 1 to 90; ten of them were never used."""

_SPOKEN: Final = {"tv": "television", "remote": "remote control", "mouse": "computer mouse"}
"""Where the dataset's name says too little out of its context; there is no animal called mouse in it."""
_PAIRS: Final = frozenset({"skis", "scissors"})
_PLURALS: Final = {
    "person": "people", "sheep": "sheep", "knife": "knives", "broccoli": "broccoli",
    "computer mouse": "computer mice",
}  # fmt: skip


def counted(label: str, count: int) -> str:
    """Say how many there are: ``a person``, ``an apple``, ``2 cups``, ``a pair of scissors``."""
    name = _SPOKEN.get(label, label)
    if label in _PAIRS:
        return f"a pair of {name}" if count == 1 else f"{count} pairs of {name}"
    if count > 1:
        return f"{count} {_plural(name)}"
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _plural(name: str) -> str:
    if name in _PLURALS:
        return _PLURALS[name]
    return name + ("es" if name.endswith(("s", "x", "ch", "sh")) else "s")
