"""Words and signs that the synthesiser reads wrongly by itself, and how they are said in English."""

from __future__ import annotations

ABBREVIATIONS = {
    "e.g.": "for example",
    "i.e.": "that is",
    "etc.": "etcetera",
}
"""Lower case, with the full stop. Titles, streets and months are the synthesiser's own."""

WORDS = {
    "24/7": "24 7",
    "C#": "C sharp",
    "F#": "F sharp",
    "JSON": "Jason",
    "e.g": "for example",
    "i.e": "that is",
}

FALSE_ABBREVIATIONS = frozenset(("no.", "nos.", "sun.", "ed.", "mar.", "fig."))
"""Lower case. Where one of these ends a clause it is a word: the synthesiser would say "The answer is
number"."""

UNITS = {
    "g": ("gram", "grams"),
    "h": ("hour", "hours"),
    "hPa": ("hectopascal", "hectopascals"),
    "km²": ("square kilometer", "square kilometers"),
    "l": ("liter", "liters"),
    "L": ("liter", "liters"),
    "m": ("meter", "meters"),
    "m/s": ("meter per second", "meters per second"),
    "mL": ("milliliter", "milliliters"),
    "m²": ("square meter", "square meters"),
    "s": ("second", "seconds"),
    "V": ("volt", "volts"),
    "W": ("watt", "watts"),
}
"""Unit → (singular, plural), read only after a number."""

OPERATORS = {
    "*": "times",
    "·": "times",
    "x": "times",
    "/": "divided by",
    "-": "minus",
    "–": "minus",
    "−": "minus",
}
"""Signs that mean arithmetic between two operands and something else anywhere else."""

SYMBOLS = {
    "√": " square root of ",
    "≤": " less than or equal to ",
    "≥": " greater than or equal to ",
    "≠": " not equal to ",
    "≈": " about ",
    "∞": " infinity ",
    "π": " pi ",
    "−": " minus ",
    "←": " ",
    "[": " ",
    "]": " ",
    "{": " ",
    "}": " ",
    "|": " ",
    "\\": " ",
    **{chr(0x2080 + digit): str(digit) for digit in range(10)},
}

TYPOGRAPHY = {
    "->": "→",
    "=>": "→",
    "--": "—",
    "...": "…",
    "()": "",
}
"""Written habits and their printed form; ``f()`` is said as its name."""

SAYABLE_SYMBOLS = frozenset("—–-…+=×÷<>&%$€£→±°~")
"""Signs that may stand alone: they are a pause or have a name."""

NAME_SUFFIXES = frozenset(
    "ai app biz ca ch cn co com cz de dev edu eu fr gg gov info io it jp me mil net nl nz org ru "
    "se tv uk us xyz bat c cfg conf cpp css csv doc docx exe gif gz h hpp htm html ini ipynb "
    "jpeg jpg js json jsx kt log lua md mkv mov mp mp3 mp4 ogg pdf php png ppt pptx py rb rs rst "
    "sh sql svg tar toml ts tsv tsx txt wav webp xls xlsx xml yaml yml zip".split()
)
"""Endings that make a dotted word a domain or a file name, whose dots are said."""
