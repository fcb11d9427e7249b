"""Names that cannot be taken for other names: one script, no disguises, no tricks with paths.

What looks like Latin without being it is taken from the letters that print alike in common fonts; what a name looks
like (`likeness`) decides whether a new one may stand beside those there are.
"""

from __future__ import annotations

import unicodedata

_CYRILLIC = dict(zip("авезікмнорстухјѕһԁԛԝӏ", "abe3ikmhopctyxjshdqwl", strict=True))
_GREEK = dict(zip("αβγεζηικνορτυχωϳϲ", "abyeznikvoptuxwjc", strict=True))
_LATIN_LIKE = {**_CYRILLIC, **_GREEK}

# Japanese is written in three scripts at once, Korean sometimes in two: these go together.
_TOGETHER = {"HIRAGANA": "CJK", "KATAKANA": "CJK", "HANGUL": "CJK", "BOPOMOFO": "CJK"}


def scripts_of(text: str) -> set[str]:
    """Return the scripts of the letters in `text`, by the first word of their Unicode names."""
    names = (unicodedata.name(c, "UNNAMED").partition(" ")[0] for c in text if c.isalpha())
    return {_TOGETHER.get(name.partition("-")[0], name.partition("-")[0]) for name in names}


def likeness(name: str) -> str:
    """Return what a name looks like: two names with the same likeness are taken for each other by people."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(_LATIN_LIKE.get(c, c) for c in folded)


def is_disguised(name: str) -> bool:
    """Whether a name mixes scripts, or is wholly made of foreign letters that look like Latin ones."""
    scripts = scripts_of(name)
    if len(scripts) > 1:
        return True
    return scripts <= {"CYRILLIC", "GREEK"} and likeness(name).isascii() and bool(scripts)
