"""Recognise the stock refusals of models in other languages than English."""

from __future__ import annotations

import re

_SPACED = re.compile(r"(?<=[\u3040-\u30ff\u4e00-\u9fff])\s+|\s+(?=[\u3040-\u30ff\u4e00-\u9fff])")
# Of folded texts: lower case, no accents, no apostrophes.
REFUSES = re.compile(
    # Czech and Slovak
    r"\b(?:(?:nemohu|nemuzu|nedokazu|nelze) (?:\w+ ){0,6}(?:urcit|odpovedet|poskytnout|uvest|"
    r"potvrdit|"
    r"rici|rict|ricti|sdelit|pomoci|najit|overit|zjistit|identifikovat|dohledat|pomoct|"
    r"specifikovat|zodpovedet|dat)\b|(?:nemam|nemame|nedisponuji|"
    r"nemaji) (?:\w+ ){0,6}(?:informac\w*|udaj\w*|pristup\w*|znalost\w*|zdroj\w*|zaznam\w*|dat|"
    r"k dispozici|jistot\w*)\b|(?:nevim|nepoznavam|neviem|neznam)\b|(?:neni|nejsou|"
    r"nebyl[aoiy]?) (?:\w+ ){0,5}(?:znam\w*|jist\w*|dostupn\w*|k dispozici|zdokumentovan\w*|"
    r"dohledateln\w*|uveden\w*|mozne|zverejnen\w*)\b|(?:potreboval|potrebovala) bych\b|"
    r"bylo (?:by )?(?:\w+ )?(?:potreba|nutne|treba) (?:\w+ )?(?:overit|vyhledat|provest|"
    r"konzultovat|dohledat)\b|bych potreboval\w*\b|neexistuj[ei] (?:\w+ ){0,4}(?:informac\w*|"
    r"zaznam\w*|udaj\w*)|nejsem si (?:\w+ ){0,2}jist\w*|"
    # German and Dutch
    r"weiss ich (?:\w+ )?nicht\b|ich weiss (?:\w+ ){0,2}nicht\b|keine ahnung\b|tut mir leid\b|"
    r"(?:kann|konnte) (?:\w+ ){0,8}(?:nicht|keine) (?:\w+ ){0,5}(?:beantworten|sagen|bestimmen|"
    r"finden|angeben|helfen|bestatigen|geben|machen|feststellen)\b|"
    r"keine (?:\w+ ){0,3}(?:informationen|angaben|daten)\b|ist (?:mir )?nicht bekannt\b|"
    r"(?:ik )?weet (?:ik )?(?:het )?(?:helaas )?niet\b|geen idee\b|het spijt me\b|ik (?:kan|heb|"
    r"beschik) (?:\w+ ){0,5}(?:niet|geen)\b|"
    # French
    r"je ne (?:sais|connais|peux|dispose|suis|trouve|possede|parviens)\b|je nai (?:pas|aucune)\b|"
    r"aucune (?:idee|information)\b|desolee?,? (?:mais )?je\b|impossible de (?:determiner|"
    r"repondre|savoir)\b|"
    # Spanish, Portuguese and Italian
    r"no lo se\b|no (?:puedo|tengo|dispongo|conozco|encuentro|recuerdo|estoy segur\w)\b|"
    r"lo siento\b|desconozco\b|se desconoce\b|no hay (?:\w+ ){0,3}informacion\b)"
    r"|^no se\W*$"
    r"|^\W*(?:nezn(?:am|an)[aeoy]|unbekannt|onbekend|okand|inconnue?|desconocid[ao]|desconhecid[ao]"
    r"|sconosciut[ao]|nieznan[aey]|неизвестно)\W*$"
    r"|\b(?:nao sei\b|nao (?:posso|tenho|consigo|conheco|disponho|encontrei)\b|desconheco\b|"
    r"lamento\b|"
    r"nao ha (?:\w+ ){0,3}informac\w+|non (?:lo )?so\b|non (?:posso|ho|conosco|dispongo|riesco|"
    r"sono (?:in grado|sicur\w|a conoscenza))\b|mi dispiace\b|"
    # Polish, Russian, Turkish, Vietnamese and Indonesian
    r"nie (?:wiem|moge|mam|znam|posiadam|dysponuje|jestem (?:w stanie|pewien|pewna))\b|"
    r"przykro mi\b|(?:я )?не (?:знаю|могу|располагаю|уверен\w*|известно|удалось|имею)\b|"
    r"неизвестно\b|у меня нет\b|нет (?:\w+ ){0,3}(?:информации|данных|сведении)\b|извините\b|"
    r"bilmiyorum\b|bilgim yok\b|emin degilim\b|uzgunum\b|toi khong (?:biet|the|co)\b|xin loi\b|"
    r"saya tidak (?:tahu|dapat|memiliki|bisa|yakin)\b)"
    # Chinese, Japanese, Korean, Arabic and Hindi
    r"|不知道|不清楚|不确定|不確定|无法|無法|抱歉|对不起|對不起|不了解|不能(?:回答|提供|"
    r"协助)|没有(?:相关|足够)?的?(?:信息|资料|数据)|(?:わか|"
    r"分か)りません|知りません|存じません|(?:回答|お答え|確認)でき|申し訳|不明です|"
    r"情報が(?:ありません|ない)|모르겠|모릅니다|알 수 없|죄송|(?:확인|답변|"
    r"제공)할 수 없|정보가 없|لا (?:اعرف|اعلم|يمكنني|استطيع|املك|تتوفر|تتوافر)|لست (?:متاكد|"
    r"قادر)|اسف|عذرا|"
    r"غير معروف|(?:नहीं|नही) (?:पता|जानता|जानती|मालूम)|मुझे नहीं|क्षमा करें"
)
GUESSES = re.compile(
    r"\b(?:pravdepodobne|nejspis\w*|zrejme|hadal\w*|tipoval\w*|domnivam|odhad\w*|nicmene|presto"
    r"|wahrscheinlich|vermutlich|waarschijnlijk|probablement|probablemente|creo que"
    r"|provavelmente|acho que"
    r"|probabilmente|prawdopodobnie|вероятно|возможно|думаю|muhtemelen)\b|可能|也许|おそらく|"
    r"たぶん|아마|ربما|शायद"
)
_SENTENCE = re.compile(r"(?<!\d)[.!?](?=\s)|[。！？।]")
_ENGLISH = frozenset({"the", "is", "was", "of", "and", "it", "that", "by", "with", "to"})


def declines_elsewhere(folded: str, tokens: list[str]) -> bool:
    """Return whether an answer in another language than English is a refusal without a guess."""
    if sum(word in _ENGLISH for word in tokens[:200]) > max(1, len(tokens[:200]) // 10):
        return False
    text = _SPACED.sub("", folded[:4000])
    if not (refusal := REFUSES.search(text)):
        return False
    before = text[: refusal.start()]
    # What comes after an answer only doubts it.
    if len(_SENTENCE.findall(before)) > 1 or GUESSES.search(before):
        return False
    guesses = list(GUESSES.finditer(text, refusal.end()))
    return not guesses or REFUSES.search(text, guesses[-1].end()) is not None
