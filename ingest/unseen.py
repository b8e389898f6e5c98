"""What of a page of HTML nobody sees, and what stands around its main text: by tag, style and name.

Knows single elements and style sheets; walks no page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

UNSEEN = frozenset(  # never shown, or controls of the page and no part of what it says
    str.split(
        "script style template noscript svg math nav button select datalist textarea iframe object "
        "canvas audio video map rp rt noframes"
    )
)
_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?:\.0*)?\s*(?:[;a-z%]|$)", re.I
)
_CLEAR = re.compile(r"opacity\s*:\s*0(?:\.0*)?\s*(?:[;%]|$)", re.I)
_MOVING = ("transform", "transition", "animation")  # what a script fades in
_WHITE = re.compile(r"(?<!-)color\s*:\s*(?:white\b|transparent|#fff(?:fff)?\b)", re.I)
_GROUND = re.compile(r"(?<![a-z])(?:bg|background|cover|hero|dark|inverse)(?![a-z])", re.I)
_CLASS = re.compile(r"\.([A-Za-z_][\w-]*)")
_RULE = 2000  # characters of a style rule that are looked at; pictures and fonts are far longer

_ANCHORS = frozenset(("headerlink", "header-anchor", "hash-link", "anchor", "mw-editsection"))
_AROUND = frozenset(("aside", "header"))  # outside of an article; in it they belong to it
_ROLES = frozenset(
    str.split("navigation banner contentinfo search dialog alertdialog menu menubar toolbar")
)
_NEVER = frozenset(str.split("html body main article h1 h2 h3 h4 h5 h6 dt dd table tr tbody td"))
# A class or id names something around the main text when one of the first words is in it, and no
# word but of the first and the second: "cookie-banner", not "cookie-recipes".
_SUCH = frozenset(
    str.split(
        "ad ads advert advertisement adverts breadcrumb breadcrumbs consent cookie cookies footer "
        "gdpr menu modal nav navbar navbox navigation newsletter offcanvas pager pagination popup "
        "promo recommended related share sharing sidebar sidenav skip social subscribe toc topnav"
    )
)
_WITH = frozenset(
    str.split(
        "area articles banner bar block bottom box button buttons container desktop first global "
        "group header icon icons left link links list main media mobile notice outer overlay page "
        "panel posts primary right second secondary side signup site stories to toggle tools top "
        "widget widgets wrap wrapper"
    )
)
_NAMES = frozenset(
    str.split(
        "widget-area side-bar catlinks printfooter mw-jump-link sharedaddy jp-relatedposts "
        "addthis_toolbox rst-versions most-read more-stories table-of-contents yarpp-related"
    )
)
_CONSENT = tuple(  # how the names of tools that ask for consent begin
    str.split(
        "onetrust cybotcookiebot usercentrics didomi qc-cmp sp_message cky- moove_gdpr cc-window "
        "cmp-container fc-consent"
    )
)
_LISTS = frozenset(("ul", "ol", "menu"))  # elsewhere, a "menu" may be that of a restaurant
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")


def hides(style: str, *, on_ground: bool = False) -> bool:
    """Whether these declarations hide an element; white writing does, unless there is a ground."""
    if _HIDING.search(style) is not None:
        return True
    lower = style.lower()
    if _CLEAR.search(style) is not None and not any(word in lower for word in _MOVING):
        return True
    return not on_ground and "background" not in lower and _WHITE.search(style) is not None


def sets_ground(attributes: Mapping[str, str]) -> bool:
    """Whether an element seems to have a ground of its own, on which writing may be white."""
    return (
        "background" in attributes.get("style", "").lower()
        or "bgcolor" in attributes
        or _GROUND.search(attributes.get("class", "")) is not None
    )


def hiding_classes(sheet: str) -> Iterator[str]:
    """The classes that a style sheet hides wherever they stand, whatever the screen is."""
    plain = "".join(part.partition("/*")[0] for part in sheet.split("*/"))
    depth = 0
    for block in plain.split("}"):
        selectors, *inner = block.split("{")
        if depth == 0 and len(inner) == 1 and hides(inner[0][:_RULE]):
            for selector in selectors[-_RULE:].split(","):
                if (found := _CLASS.fullmatch(selector.strip())) is not None:
                    yield found[1]
        depth = max(0, depth + len(inner) - 1)


def is_anchor(tag: str, attributes: Mapping[str, str]) -> bool:
    """Whether an element is the mark beside a heading that links to it: "¶", "#", "[edit]"."""
    return tag in ("a", "span") and not _ANCHORS.isdisjoint(attributes.get("class", "").split())


def is_around(tag: str, attributes: Mapping[str, str], *, inside: bool) -> bool:
    """Whether an element stands around the main text of its page, or around what is `inside` it."""
    if tag in _NEVER:
        return False
    role = attributes.get("role", "").lower()
    if tag == "footer" or role in _ROLES or (role == "complementary" and not inside):
        return True
    if tag in _AROUND and not inside:
        return True
    classes = attributes.get("class", "").split()
    section = tag == "section" or "section" in classes  # its id is made of what its heading says
    names = classes if section else [*classes, attributes.get("id", "")]
    return any(_is_such(name) and (tag in _LISTS or name != "menu") for name in names)


def _is_such(name: str) -> bool:
    lower = name.lower()
    if lower in _NAMES or lower.startswith(_CONSENT):
        return True
    words = {word.lower() for word in _WORD.findall(name.partition("--")[0])}
    return not words.isdisjoint(_SUCH) and words <= _SUCH | _WITH
