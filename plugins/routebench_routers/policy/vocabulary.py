"""English words, in lower case, by which a query's cues are recognised."""

from __future__ import annotations

from collections.abc import Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TOPICS: Mapping[str, frozenset[str]] = {
    topic: _words(words)
    for topic, words in {
        "music": "album band chart composer concert grammy guitar lyric music musician opera "
        "orchestra piano rapper record singer single song songwriter soundtrack symphony track",
        "film": "actor actress animated anime cast character cinema director documentary emmy "
        "episode film finale hollywood movie oscar premiere season series show sitcom starring "
        "television tv",
        "games": "boss console dlc dungeon game gameplay gamer minecraft nintendo nintendo's "
        "npc player playstation pokémon quest steam weapon xbox zelda",
        "sport": "athlete baseball basketball boxing champion championship coach cricket cup "
        "football goal goalkeeper hockey innings league match medal mlb nba nfl olympic olympics "
        "race referee rugby scored scorer soccer stadium striker team tennis tournament wicket "
        "wimbledon",
        "politics": "ambassador cabinet chancellor congress constitution constituency election "
        "governor government judge law lawyer mayor minister parliament party politician president "
        "prime senate senator treaty vote",
        "science": "astronomer atom biologist bird cell chemical chemist chemistry dna element "
        "enzyme fossil galaxy gene genus geneticist isotope laboratory mathematician molecule "
        "moon nobel orbit particle physicist physics planet protein research scientist species "
        "telescope",
        "medicine": "cancer clinical disease doctor drug hospital medical medicine patient "
        "physician surgeon surgery symptom syndrome vaccine virus",
        "technology": "aircraft android app apple chip computer engine engineer google internet "
        "microsoft phone processor programming rocket satellite smartphone software spacecraft "
        "startup website",
        "places": "airport bridge capital city continent country county desert district island "
        "lake located location mountain municipality ocean population province region river sea "
        "street town village",
        "books": "author book comic essay fiction journal literary literature "
        "magazine manga newspaper novel novelist pen poem poet poetry published publisher story "
        "wrote writer",
        "art": "art artist architect architecture exhibition fashion gallery museum painted "
        "painter painting photograph photographer sculptor sculpture statue",
        "history": "ancient army battle bishop civil colonel colonial emperor empire general king "
        "kingdom monarch navy pope prince princess queen regiment revolution soldier war",
        "people": "born brother buried child daughter died divorced family father full husband "
        "married mother parent sister son spouse wife",
        "education": "academy bachelor college degree dissertation graduated graduate phd "
        "professor scholarship school student studied taught thesis university",
        "business": "bank ceo company corporation executive factory firm founded founder industry "
        "investment market price profit revenue shareholder store",
    }.items()
}
"""The words of each topic."""

SUPERLATIVES = _words(
    "best biggest brightest cheapest closest coldest deepest earliest farthest fastest fewest "
    "furthest greatest heaviest highest hottest largest latest least lightest longest lowest most "
    "nearest newest oldest poorest richest shortest slowest smallest strongest tallest weakest "
    "widest worst youngest first last only"
)
COMPARED = _words("between compare compared difference fewer less more than versus vs")
OPENING = _words(
    "a according after all also am an and are as at be because before between by can compare could "
    "define describe did do does during each every explain find first for from give had has have "
    "he her his how i i'm if in is it its list me my name no not of on or our please provide she "
    "should since tell that the their there these they this those through to translate under "
    "until was we were what what's when where whether which while who who's whom whose why will "
    "with within without would write you your"
)
"""Words that are no names at the beginning of a sentence or title."""
INSIDE = _words("of the de del della der den di da du la le las los van von y zu af av")
"""Small words inside a name."""
