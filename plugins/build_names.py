"""Builds the names of places that the `exact` judge knows: `python plugins/build_names.py`.

Reads Unicode CLDR through the package `babel` (not needed to run RouteBench) and the cities listed
here; writes `names.tsv`: an English name, a language, the name there, folded, where they differ.
"""

from __future__ import annotations

from pathlib import Path

from babel import Locale  # type: ignore[import-not-found, unused-ignore]

from routebench_judges.answers.folding import fold, words

OUT = Path(__file__).resolve().parent / "routebench_judges" / "exact" / "names.tsv"
LANGUAGES = ("cs", "de", "es", "fr", "it", "nl", "pl", "pt", "ru", "sk", "sv")
ALSO = {
    "united states": ["united states of america"],
    "czechia": ["czech republic"],
    "turkiye": ["turkey"],
    "myanmar burma": ["myanmar", "burma"],
    "cote d ivoire": ["ivory coast"],
    "hong kong sar china": ["hong kong"],
    "macao sar china": ["macao", "macau"],
}
# Cities that are no name of a time zone: English, then by language as listed in CITY_LANGUAGES.
CITY_LANGUAGES = ("cs", "de", "es", "fr", "it", "pl", "pt")
CITIES = """
munich mnichov munchen munich munich monaco di baviera monachium munique
cologne kolin - colonia - colonia kolonia colonia
hamburg - - hamburgo hambourg amburgo - hamburgo
leipzig lipsko - - - lipsia lipsk -
dresden drazdany - dresde dresde dresda drezno dresda
nuremberg norimberk nurnberg nuremberg - norimberga norymberga nuremberga
venice benatky venedig venecia venise venezia wenecja veneza
florence florencie florenz florencia - firenze florencja florenca
milan milano mailand - - milano mediolan milao
naples neapol neapel napoles - napoli neapol napoles
turin turin turin - - torino turyn turim
genoa janov genua genova genes genova genua genova
geneva zeneva genf ginebra geneve ginevra genewa genebra
basel basilej basel basilea bale basilea bazylea basileia
antwerp antverpy antwerpen amberes anvers anversa antwerpia antuerpia
strasbourg strasburk strassburg estrasburgo - strasburgo strasburg estrasburgo
krakow krakov krakau cracovia cracovie cracovia krakow cracovia
wroclaw vratislav breslau breslavia - breslavia - breslavia
gdansk gdansk danzig - - danzica - -
edinburgh edinburk - edimburgo edimbourg edimburgo edynburg edimburgo
beijing peking peking pekin pekin pechino pekin pequim
philadelphia filadelfie - filadelfia philadelphie filadelfia filadelfia filadelfia
seville sevilla sevilla sevilla - siviglia sewilla sevilha
barcelona - - - barcelone barcellona - -
marseille - - marsella - marsiglia marsylia marselha
california kalifornie kalifornien - californie - kalifornia -
"""


def main() -> None:
    english = Locale("en")
    found: set[tuple[str, str, str]] = set()
    for code in LANGUAGES:
        there = Locale(code)
        pairs = [(english.territories.get(key), name) for key, name in there.territories.items()]
        pairs += [
            (english.languages.get(key), name)
            for key, name in there.languages.items()
            if len(key) == 2
        ]
        zones = english.time_zones
        pairs += [
            (
                zones.get(key, {}).get("city") or key.rpartition("/")[2].replace("_", " "),
                zone["city"],
            )
            for key, zone in there.time_zones.items()
            if "city" in zone
        ]
        for ours, theirs in pairs:
            add(found, ours, code, theirs)
    for line in CITIES.strip().splitlines():
        ours, *others = line.replace("monaco di baviera", "monaco_di_baviera").split()
        for code, theirs in zip(CITY_LANGUAGES, others, strict=True):
            if theirs != "-":
                add(found, ours, code, theirs.replace("_", " "))
    OUT.write_text("".join("\t".join(row) + "\n" for row in sorted(found)), encoding="utf-8")


def add(found: set[tuple[str, str, str]], ours: str | None, code: str, theirs: str) -> None:
    """Add a name where it differs; not one with a gloss, as in `Knox, Indiana`."""
    if ours is None or any(sign in ours + theirs for sign in ",()[]/"):
        if ours != "Myanmar (Burma)":
            return
        theirs = theirs.partition(" (")[0]
    name, other = " ".join(words(fold(ours))), " ".join(words(fold(theirs)))
    for one in [name, *ALSO.get(name, [])]:
        if one != other and len(other) > 2 and not other.isdigit():
            found.add((one, code, other))


if __name__ == "__main__":
    main()
