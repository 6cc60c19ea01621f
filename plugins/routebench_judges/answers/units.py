"""Units of measurement and counted things: every spelling under one name."""

from __future__ import annotations

import re

from routebench_judges.answers.folding import listed_words, words

# A name, then its other spellings; a plural in -s and the British -metre are added below.
_SPELLINGS = """
mm: millimeter
cm: centimeter
m: meter
km: kms, kilometer
in: inch, inches
ft: foot, feet
yd: yard
mi: mile
nmi: nautical mile
mg: milligram, milligramme
g: gram, gramme
kg: kgs, kilo, kilogram, kilogramme
t: tonne, metric ton
ton: ton
lb: lbs, pound
oz: ounce
ml: milliliter, millilitre
l: liter, litre
gal: gallon
mm2: mm^2, sq mm, square millimeter
cm2: cm^2, sq cm, square centimeter
m2: m^2, sqm, sq m, square meter
km2: km^2, sq km, square kilometer
ft2: ft^2, sq ft, square foot, square feet
mi2: mi^2, sq mi, square mile
m3: m^3, cubic meter
cm3: cm^3, cc, ccm, cubic centimeter
km3: km^3, cubic kilometer
ft3: ft^3, cubic foot, cubic feet
ha: hectare
acre: ac
ms: millisecond
s: sec, secs, second
min: mins, minute
h: hr, hrs, hour
day: day
week: week
month: month
year: yr, yrs
km/h: kmh, kph, kmph, kilometers per hour, km per hour
mph: mi/h, miles per hour
m/s: meters per second, m per second
kn: knot
%: percent, per cent, pct
pp: percentage point
°c: celsius, degrees celsius, degrees c, degrees centigrade, ° c, deg c
°f: fahrenheit, degrees fahrenheit, degrees f, ° f, deg f
kelvin: kelvin
°: degree, deg
hz: hertz
khz: kilohertz
mhz: megahertz
ghz: gigahertz
w: watt
kw: kilowatt
mw: megawatt
gw: gigawatt
v: volt
j: joule
kj: kilojoule
n: newton
pa: pascal
kpa: kilopascal
hp: horsepower
kb: kilobyte
mb: megabyte
gb: gigabyte
tb: terabyte
usd: $, us$, dollar, us dollar
eur: €, euro
gbp: £, pounds sterling
jpy: ¥, yen
inr: ₹, rs, rupee
"""

_POUNDS = {"lb", "gbp"}  # one word for two units


def _table() -> dict[str, str]:
    table = {}
    for line in _SPELLINGS.strip().splitlines():
        name, _, rest = line.partition(": ")
        for spelling in (name, *rest.split(", ")):
            for form in (spelling, spelling.replace("meter", "metre")):
                table[form] = name
                if len(form) > 2 and form[-1].isalpha() and form[-1] != "s":
                    table[form + "s"] = name
    return table


UNITS = _table()

# Counted things: what is on one line can be the same thing, what is on two of a kind cannot.
_THINGS = {
    "metal": """
gold golden
silver
bronze
""",
    "noun": """
medal award prize title win victory trophy championship honour honor
nomination
wicket
run
over
inning innings
goal try touchdown
point
assist
rebound
lap
match game test cap appearance
round stage
position place rank spot ranking
season series
episode
chapter
volume
edition
floor storey story level
song track single
film movie
book novel
page
vote
seat
son boy
daughter girl
brother
sister
""",
}


def _things() -> dict[str, tuple[str, str]]:
    table = {}
    for kind, lines in _THINGS.items():
        for line in lines.strip().splitlines():
            for name in line.split():
                for form in (name, f"{name}s", f"{name[:-1]}ies" if name[-1] == "y" else name):
                    table[form] = (kind, line)
    return table


_THING = _things()
_NEXT_WORDS = re.compile(r"(?:[\s-][^\W\d_]+){1,3}")
_LINKS = frozenset(
    listed_words("of in at on and or for with by to from out per the a an is was were are as")
)


def things(text: str, end: int) -> list[tuple[str, str]]:
    """Return the counted things named right after a number, as (kind, line of the table)."""
    counted = []
    near = _NEXT_WORDS.match(text, end)
    for word in words(near[0]) if near else ():
        if word in _LINKS:
            break
        if word in _THING:
            counted.append(_THING[word])
    return counted


def compatible(one: str | None, other: str | None) -> bool:
    """Return whether two units may be the same; None, a number without a unit, fits any."""
    if one is None or other is None or one == other:
        return True
    if "°" in (one, other):  # a bare degree is a degree of any scale
        return one[0] == other[0]
    return {one, other} == _POUNDS


_SENTENCE = re.compile(r"(?<=[.?!])\s+|\n+")
_NAMES = "|".join(re.escape(name) for name in sorted(UNITS, key=len, reverse=True))
UNIT = rf"(?:{_NAMES})(?![^\W_])"
CURRENCY = r"us\$|[$€£¥₹]|rs\.?(?=\s?\d)|usd|eur|gbp"

# A unit after `in` has no article and ends its clause: `in meters?`, but not `in the second year`.
# After `how many` it is a plural or a sign: `how many minutes`, but not `how many minute details`.
_MANY = re.compile(
    rf"\bhow many (?:more |fewer |total |full |whole |additional |extra "
    rf"|complete )*({UNIT})(?!\s?/|[\s-](?:per|each)\b)"
)
_IN = re.compile(
    rf"\b(?:in|number of) ({UNIT})\s*(?=$|[.,;:?!)\n]|(?:and|does|do|did|is|are|will|would|can"
    rf"|has|have)\b)"
)
_ASKS = re.compile(
    r"\b(?:how (?:long|far|tall|high|wide|deep|big|large|heavy|fast|old|much|many)|what|find"
    r"|calculate|compute"
    r"|give|express|determine|measured)\b"
)
_SIGN = re.compile(
    r"[^a-z]|^(?:mm|cm|m|km|kg|g|mg|ml|l|ft|lb|lbs|oz|hrs?|mins?|secs?|mph|kph|kmh|kw|mw|gb|mb|kb|usd|eur|gbp)$"
)


def requested_unit(question: str) -> str | None:
    """Return the unit of the quantity that a folded question wants, as in `how many feet`.

    None where it wants none, or more than one. Units that only say when or compare, as in `in
    the second year` and `as many gallons as`, are not wanted.
    """
    sentences = [one for one in _SENTENCE.split(question) if one.strip()]
    asked = [one for one in sentences if one.rstrip().endswith("?")] or sentences[-1:]
    found = set()
    for sentence in asked:
        for name in _MANY.findall(sentence):
            if name.endswith("s") or name == "feet" or _SIGN.search(name):
                found.add(UNITS[name])
        asks = _ASKS.search(sentence)
        for match in _IN.finditer(sentence, asks.end() if asks else len(sentence)):
            name = match[1]
            if (
                name.endswith("s")
                or name in ("feet", "celsius", "fahrenheit", "kelvin")
                or _SIGN.search(name)
            ):
                found.add(UNITS[name])
    return found.pop() if len(found) == 1 else None
