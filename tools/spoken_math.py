"""Arithmetic as people say it or write it, turned into Python's notation.

"seventeen times twenty three" → ``17 * 23``; "15% of 80" → ``percent ( 15 ) * 80``; "√2" → ``sqrt ( 2 )``.
Text that already is Python's notation comes out meaning the same. Nothing is evaluated here, and what is not
understood is left in place for the evaluator to name.
"""

from __future__ import annotations

import re

from hearsight.tools.arithmetic import FUNCTIONS
from hearsight.tools.number_words import digits_for_words

_SYMBOLS = str.maketrans(
    {
        "×": "*", "·": "*", "∗": "*", "⋅": "*", "÷": "/", "−": "-", "–": "-", "—": "-", "^": "**",
        "π": " pi ", "²": " squared ", "³": " cubed ", "√": " sqrt ", "°": " degrees ",
        "½": " 0.5 ", "¼": " 0.25 ", "¾": " 0.75 ",
        "$": " ", "€": " ", "£": " ", "?": " ", "=": " ", "’": "'",
    }
)  # fmt: skip
_TOKEN = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?|\.\d+|log(?:10|2)\b|[a-z]+(?:'[a-z]+)?|\*\*|//|\S")
_NUMBER = re.compile(r"\d*\.?\d+(?:e[+-]?\d+)?")
_THOUSANDS = re.compile(r"(?<![\d.])\d{1,3}(?:,\d{3})+(?!\d)")

_FILLERS = frozenset(
    "what what's whats is are does how much many calculate compute evaluate work out tell me please the "
    "equal equals answer result tip tax discount dollars dollar euros euro pounds cents um uh so".split()
)
_PHRASES = (
    (r"multiplied by|times", "*"),
    (r"divided by|over", "/"),
    (r"(?:raised )?to power(?: of)?|raised to", "**"),
    (r"cube root(?: of)?", "cbrt"),
    (r"(?:square )?root(?: of)?", "sqrt"),
    (r"natural log(?:arithm)?(?: of)?", "ln"),
    (r"logarithm", "log"),
    (r"absolute value(?: of)?", "abs"),
    (r"sine", "sin"),
    (r"cosine", "cos"),
    (r"tangent", "tan"),
    (r"plus", "+"),
    (r"minus|less", "-"),
    (r"negative", "-"),
    (r"modulo|mod", "mod"),
    (r"per cent|percentage|%(?=\s*(?:$|[-+*/),]|of|on|off))", "percent"),
    (r"percent (?:on|from)", "percent of"),
    (r"math \.", ""),
)
_WORD_PHRASES = tuple((re.compile(rf"(?<![a-z])(?:{phrase})(?![a-z])"), sign) for phrase, sign in _PHRASES)
# Whole sentences, tried in order; the groups are expressions again.
_SENTENCES = (
    (re.compile(r"(sin|cos|tan) (?:of )?(\S+) degrees"), r"\1 ( \2 degrees )"),
    (re.compile(r"add (.+?) (?:and|to) (.+)"), r"( \1 ) + ( \2 )"),
    (re.compile(r"subtract (.+?) from (.+)"), r"( \2 ) - ( \1 )"),
    (re.compile(r"multiply (.+?) (?:by|and|with) (.+)"), r"( \1 ) * ( \2 )"),
    (re.compile(r"divide (.+?) by (.+)"), r"( \1 ) / ( \2 )"),
    (re.compile(r"sum of (.+?) and (.+)"), r"( \1 ) + ( \2 )"),
    (re.compile(r"product of (.+?) and (.+)"), r"( \1 ) * ( \2 )"),
    (re.compile(r"difference (?:between|of) (.+?) and (.+)"), r"( \1 ) - ( \2 )"),
    (re.compile(r"(\S+) percent off (.+)"), r"( 1 - \1 percent of 1 ) * ( \2 )"),
)
_FRACTIONS = {"half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fifth": 5,
              "fifths": 5, "tenth": 10, "tenths": 10}  # fmt: skip
_OPENS_OPERAND = frozenset({"(", "pi", "e", "sqrt"})
"""What multiplies when it follows an operand without a sign: "2(3 + 4)", "2π", "3√2"."""
_POSTFIX_POWERS = {"squared": "2", "cubed": "3"}
_POSTFIX_FUNCTIONS = {"!": "factorial", "factorial": "factorial", "percent": "percent", "degrees": "radians"}


def to_expression(text: str) -> str:
    """Rewrite spoken or written arithmetic into Python's notation.

    Args:
        text: Such as "what's 15 % of 1,200" or ``max(3, 4)``.

    Returns:
        An expression for ``arithmetic.evaluate``, which judges whether it is one.
    """
    lowered = text.lower().translate(_SYMBOLS)
    if not re.search(r"[a-z]\d*\s*\(", lowered):  # In max(1,200) the comma separates arguments.
        lowered = _THOUSANDS.sub(lambda match: match[0].replace(",", ""), lowered)
    lowered = re.sub(r"(?<=ty)-(?=[a-z])", " ", lowered)
    spoken = digits_for_words(_TOKEN.findall(lowered))
    words = " ".join(word for word in spoken if word not in _FILLERS).rstrip(" .,").lstrip(" ,")
    for pattern, sign in _WORD_PHRASES:
        words = pattern.sub(sign, words)
    for pattern, template in _SENTENCES:
        words = pattern.sub(template, words, count=1)
    return " ".join(_apply_words(words.split()))


def _apply_words(tokens: list[str]) -> list[str]:
    """Put what people say before or after an operand around it."""
    done: list[str] = []
    for at, token in enumerate(tokens):
        following = tokens[at + 1] if at + 1 < len(tokens) else ""
        if token in _FRACTIONS:
            _append_fraction(done, _FRACTIONS[token])
        elif token in ("a", "an"):
            continue
        elif token == "of":
            if not done or done[-1] not in FUNCTIONS:
                done.append("*")
        elif token == "mod":
            done.append("%")
        elif token in _POSTFIX_POWERS:
            done += ["**", _POSTFIX_POWERS[token]]
        elif token in _POSTFIX_FUNCTIONS and _ends_operand(done) and following != "(":
            start = _operand_start(done)
            done[start:] = [_POSTFIX_FUNCTIONS[token], "(", *done[start:], ")"]
        elif token == "x" and _ends_operand(done):
            done.append("*")
        elif token in _OPENS_OPERAND and _ends_operand(done):
            done += ["*", token]
        elif _is_value(token) and done and done[-1] in FUNCTIONS:
            done += ["(", token, ")"]
        else:
            done.append(token)
    return done


def _append_fraction(done: list[str], denominator: int) -> None:
    done += ["*"] if _ends_operand(done) else []
    done += ["(", "1", "/", str(denominator), ")"]


def _ends_operand(tokens: list[str]) -> bool:
    return bool(tokens) and (tokens[-1] == ")" or _is_value(tokens[-1]))


def _is_value(token: str) -> bool:
    return token in ("pi", "e") or bool(_NUMBER.fullmatch(token))


def _operand_start(tokens: list[str]) -> int:
    """Where the operand that ends the tokens begins: a number, or a parenthesis with its function."""
    at = len(tokens) - 1
    if tokens[at] != ")":
        return at
    depth = 0
    while at > 0:
        depth += {")": 1, "(": -1}.get(tokens[at], 0)
        if depth == 0:
            break
        at -= 1
    return at - 1 if at > 0 and tokens[at - 1] in FUNCTIONS else at
