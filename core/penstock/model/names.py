"""Names that cannot be taken for other names: one script, no disguises, no tricks with paths.

What looks like Latin without being it is taken from the letters that print alike in common fonts; what a name looks
like (`likeness`) decides whether a new one may stand beside those there are.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from penstock.errors import InvalidValue

# By the letter, small, as `str.casefold` leaves them. Source: Unicode Technical Standard #39, confusables.txt; for the
# Latin small capitals after the letter they are named for.
_CYRILLIC = dict(zip("авезікмнорстухјѕһԁԛԝӏ", "abe3ikmhopctyxjshdqwl", strict=True))
_GREEK = dict(zip("αβγεζηικνορτυχωϳϲ", "abyeznikvoptuxwjc", strict=True))
_LATIN = dict(zip("ɑƅꬲꬵꞙɡᶃƍıɩȷǀꬽꭇꭈƽʋꭎꭒɯɣỿ", "abeffgggiijlorrsuuuwyy", strict=True))
_SMALL_CAPITALS = dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnopqrstuvwyz", strict=True))
_ARMENIAN = dict(zip("ագզհյոռսցօք", "wqqhjnnugof", strict=True))
_CHEROKEE = dict(zip("ᎠᎡᎢᎥᎩᎪᎫᎬᎳᎷᎻᎽᏀᏂᏃᏎᏏᏒᏔᏕᏙᏚᏞᏟᏢᏦᏧᏮᏳᏴ", "drtiyajewmhyghz4brwsvslcpkd6gb", strict=True))
_LISU = dict(zip("ꓐꓑꓒꓓꓔꓖꓗꓙꓚꓜꓝꓟꓠꓡꓢꓣꓦꓧꓪꓫꓬꓮꓰꓲꓳꓴ", "bpddtgkjczfmnlsrvhwxyaeiou", strict=True))
_LATIN_LIKE = {**_CYRILLIC, **_GREEK, **_LATIN, **_SMALL_CAPITALS, **_ARMENIAN, **_CHEROKEE, **_LISU}
_ONE_SHAPE = str.maketrans("01i", "oll")  # what a hurried reader does not tell apart

# Japanese is written in three scripts at once, Korean sometimes in two: these go together.
_TOGETHER = {"HIRAGANA": "CJK", "KATAKANA": "CJK", "HANGUL": "CJK", "BOPOMOFO": "CJK"}


def scripts_of(text: str) -> set[str]:
    """Return the scripts of the letters in `text`, by the first word of their Unicode names."""
    names = (unicodedata.name(c, "UNNAMED").partition(" ")[0] for c in text if c.isalpha())
    return {_TOGETHER.get(name.partition("-")[0], name.partition("-")[0]) for name in names}


def likeness(name: str) -> str:
    """Return what a name looks like: two names with the same likeness are taken for each other by people."""
    return _in_latin(name).translate(_ONE_SHAPE)


def is_disguised(name: str) -> bool:
    """Whether a name mixes scripts, or is wholly made of Cyrillic or Greek letters that look like Latin ones."""
    scripts = scripts_of(name)
    if len(scripts) > 1:
        return True
    return scripts <= {"CYRILLIC", "GREEK"} and _in_latin(name).isascii() and bool(scripts)


def check_new_model_name(name: str, others: Iterable[str]) -> None:
    """`InvalidValue` if a name that is to be registered would be taken for one of those there are, or for a Latin one.

    Names that are registered are not asked again: what is in use stays in use, however the tables above grow.
    """
    for other in others:
        if other != name and likeness(other) == likeness(name):
            raise InvalidValue("model name", name, f"a name that cannot be taken for {other!r}, which is registered")
    scripts = scripts_of(name)
    if scripts and "LATIN" not in scripts and _in_latin(name).isascii():
        raise InvalidValue("model name", ascii(name), f"letters that cannot be taken for the Latin {_in_latin(name)!r}")


def _in_latin(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(_LATIN_LIKE.get(c, c) for c in folded)
