"""Recognise further refusals in folded sentences, by the language of the answer."""

from __future__ import annotations

import re

_CZECH = (
    r"\b(?:nemohu|nemuzu|nemuzeme|nemozem|nedokaz[ui]|nedokazeme|nelze) (?:\w+ ){0,9}(?:citovat"
    r"|reprodukovat|dodat|nalezt|urcit|odhadnout|dohledat|vysledovat|zjistit|najit|uvest"
    r"|zodpovedet|jmenovat|vybavit|vyhledat|zarucit|garantovat|byt jist\w*|prohlasit|tvrdit)\b"
    r"|\bnepodarilo (?:\w+ ){0,3}(?:dohledat|najit|zjistit|overit|nalezt|urcit)\b|\bnevybavuji\b"
    r"|\bch(?:y)?bi (?:\w+ ){0,5}(?:informac\w+|udaj\w*|data)\b|\bmi chybi\b|\bneni mi znam\w*"
    r"|\bpostrada\w+ (?:\w+ ){0,3}(?:kontext\w*|informac\w*)"
    r"|\bvyzad(?:uj\w+|oval\w*) (?:\w+ ){0,6}(?:overen\w+|vyzkum\w*|resers\w*|patran\w+"
    r"|zkouman\w+|pristup\w*)"
    r"|\b(?<!aby )(?:neni|nejsou|nebyl[aoiy]?) (?:\w+ ){0,8}(?:zrejm\w+|jasn\w+|dolozen\w*"
    r"|jednoznacn\w+|zminen\w*|specifikovan\w*|zaznamenan\w*|dohledateln\w*|znam\w*|mozne"
    r"|urcit)\b"
    r"|\bnemam (?:\w+ ){0,3}(?:presn\w+|konkretn\w+) (?:\w+ ){0,2}(?:dat\w*|odpoved\w*|jmen\w*"
    r"|nazev|cislo|pocet|rok|letopocet)\b"
    r"|\bmimo (?:me|moje|mou|moji|rozsah) (?:\w+ )?znalost\w*|\bnejsem si vedom\w*"
    r"|\b(?:neni|nejsou) (?:\w+ ){0,4}(?:verejn[eay]|identifikovateln\w+)(?=\W*(?:$|,))"
    r"|\b(?:je|bylo by) (?:treba|nutne|potreba) (?:\w+ ){0,2}upresnit\b|\bnebudu (?:\w+ ){0,5}"
    r"reprodukovat\b|\bneexistuj[ei] (?:\w+ ){0,4}(?:odpoved\w*|data|dukaz\w*)\b|\bneobsahuj[ei]"
    r" (?:\w+ ){0,4}(?:informac\w+|udaj\w*|konkretn\w+)\b|\bnemaji? (?:\w+ ){0,6}(?:uveden\w+"
    r"|znam\w+ informac\w+)\b|^\W*nezn(?:amy|ama|ame|amo)\b"
    r"|\bnevzpominam\b|\bnejsem si (?:\w+ )?jist\w* (?:jmenem|nazvem|datem)\b"
    r"|\b(?:neni|nejsou|nebyl[aoiy]?) v (?:mych|me|mem|dotazu|otazce)\b"
    r"|\bmusim (?:\w+ ){0,2}overit\b|\bbych nechtela?\b"
    r"|\bdoporucuji overit (?:\w+ ){0,3}(?:primo|v)\b|\bnemam (?:\w+ ){0,4}overen\w+"
    r"|\bmusela? bych\b|\bbych musela?\b"
    r"|\bneznam(?:e|y|a|ych)\b|\bneodpovida mym\b"
    r"|\bneviem (?:\w+ ){0,4}|\bnemam (?:\w+ ){0,4}informaci\w+"
)
_GERMAN = (
    r"\b(?:ist|sind|war|wurden?) (?:\w+ ){0,9}(?:nicht|nirgends) (?:\w+ ){0,3}(?:bekannt"
    r"|verfugbar|dokumentiert|uberliefert|klar|angegeben|moglich)\b|\bmir fehl(?:t|en)\b"
    r"|\bliegen (?:\w+ ){0,3}(?:keine|nicht)\b|\blasst sich (?:\w+ ){0,5}nicht\b"
    r"|\b(?:kann|konnen) (?:\w+ ){0,6}(?:nicht|keine) (?:\w+ ){0,4}(?:ermitteln|nennen|zitieren"
    r"|garantieren)\b|^\W*unbekannt\b"
)
_DUTCH = (
    r"\bis (?:\w+ ){0,6}niet (?:\w+ ){0,3}(?:bekend|beschikbaar|gedocumenteerd|duidelijk)\b"
    r"|^\W*onbekend\b"
)
_SWEDISH = (
    r"\bjag vet (?:\w+ ){0,2}inte\b|\bjag (?:kan|har) (?:\w+ ){0,3}(?:inte|ingen)\b"
    r"|\binte (?:\w+ ){0,3}(?:kant|kand|tillganglig\w*)\b|\btyvarr\b|^\W*okan[dt]\b"
)
_FRENCH = (
    r"\bnest pas (?:\w+ ){0,4}(?:connue?s?|disponibles?|possible|precisee?s?|claire?s?"
    r"|documentee?s?)\b|\bne sont pas (?:\w+ ){0,4}(?:connue?s|disponibles|documentee?s)\b"
    r"|\bil me manque\b|\bpas pu (?:\w+ ){0,2}(?:trouver|determiner|verifier)\b"
    r"|^\W*inconnue?\b"
)
_ROMANCE = (
    r"\bno (?:esta|estan|es|se|fue) (?:\w+ ){0,4}(?:disponibles?|claro|clara|documentad\w+"
    r"|conocid\w+|posible|especificad\w+|sabe|conoce)\b|\bno (?:pude|he podido)\b|\bme faltan?\b"
    r"|\bnao (?:esta|estao|e|foi|se) (?:\w+ ){0,4}(?:disponive\w+|claro|clara|documentad\w+"
    r"|conhecid\w+|possivel|especificad\w+|sabe)\b|\bnao consegui\b"
    r"|\bnon (?:e|sono|si) (?:\w+ ){0,4}(?:disponibil\w+|chiar\w+|documentat\w+|not[aoei]"
    r"|possibile|specificat\w+|sa)\b|\bnon sono riuscit\w\b|\bmi manca(?:no)?\b"
    r"|^\W*(?:desconocid[oa]|desconhecid[oa]|sconosciut[oa])\b"
)
_SLAVIC = (
    r"\bnie (?:jest|sa|zostal\w*) (?:\w+ ){0,5}(?:znan\w+|dostepn\w+|jasn\w+"
    r"|udokumentowan\w+|mozliwe|podan\w+)\b|\bbrakuje mi\b|\bnie udalo (?:\w+ ){0,2}sie\b"
    r"|\bне (?:\w+ ){0,3}(?:указан\w*|известн\w*|доступн\w*|ясно|задокументирован\w*)\b"
    r"|\bневозможно (?:\w+ ){0,3}(?:определить|установить|сказать)\b|^\W*nieznan[yae]\b"
)
ALSO_REFUSES = {
    code: re.compile(pattern)
    for codes, pattern in (
        ("cs sk", _CZECH),
        ("de", _GERMAN),
        ("nl", _DUTCH),
        ("sv", _SWEDISH),
        ("fr", _FRENCH),
        ("es pt it", _ROMANCE),
        ("pl ru", _SLAVIC),
    )
    for code in codes.split()
}
# Says that nothing is given, not that what is given may be wrong.
GIVES_NOTHING = re.compile(
    r"\b(?:nemohu|nemuzu|nemuzeme|nedokaz[ui]|nelze) (?:\w+ ){0,7}(?:urcit|uvest|poskytnout|rici"
    r"|rict|odpovedet|jmenovat|sdelit|najit|nalezt|specifikovat|identifikovat|zodpovedet|dodat"
    r"|vyhledat|vybavit|citovat)\b|\bnemam (?:\w+ ){0,6}(?:informac\w+|udaj\w*|odpoved\w*|dat"
    r"|data|datum|zaznam\w*|k dispozici)\b|\bnezn(?:am|ame|amy|ama|amou)\b|\bnevim\b"
    r"|\b(?:neni|nejsou) (?:mi )?(?:\w+ ){0,4}(?:znam\w*|uveden\w*|dostupn\w*|specifikovan\w*"
    r"|k dispozici)\b"
)
# A first sentence that denies what the question takes for granted, `Nikdy tam nebyl`, in Czech.
DENIES = re.compile(
    r"^(?!.*\bjsem\b).*\b(?!ne(?:chal|sl|pal|nasel|nasl|nalez|zjist|podar|fung|uved|uvad))"
    r"ne\w{2,12}(?:l|la|lo|li|ly)\b"
)
# Without any of these no sentence in the language refuses: a fast way out.
_CZECH_HINTS = (
    "nem ned neni nej nez nev nel nep neo neb nee nie chyb chib postrad vyzad usel overit bylo"
    " bych mimo upresnit nutne treba"
)
HINTS = dict.fromkeys(("cs", "sk"), _CZECH_HINTS.split())
