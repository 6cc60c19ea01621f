"""Recognise the stock refusals of models in other languages than English."""

from __future__ import annotations

import re

_SPACED = re.compile(r"(?<=[\u3040-\u30ff\u4e00-\u9fff])\s+|\s+(?=[\u3040-\u30ff\u4e00-\u9fff])")
# Of folded texts: lower case, no accents, no apostrophes.
REFUSES = re.compile(
    # Czech and Slovak
    r"\b(?:nemohu|nemuzu|nedokazu|nelze) (?:\w+ ){0,6}(?:urcit|odpovedet|poskytnout|uvest"
    r"|potvrdit|rici|rict|ricti"
    r"|sdelit|pomoci|najit|overit|zjistit|identifikovat|dohledat|pomoct|specifikovat|zodpovedet|dat)\b"
    r"|\b(?:nemam|nemame|nedisponuji|nemaji) (?:\w+ ){0,6}(?:informac\w*|udaj\w*|pristup\w*"
    r"|znalost\w*|zdroj\w*"
    r"|zaznam\w*|dat|k dispozici|jistot\w*)\b|\b(?:nevim|nepoznavam|neviem|neznam)\b"
    r"|\b(?:neni|nejsou|nebyl[aoiy]?) (?:\w+ ){0,5}(?:znam\w*|jist\w*|dostupn\w*|k dispozici"
    r"|zdokumentovan\w*"
    r"|dohledateln\w*|uveden\w*|mozne|zverejnen\w*)\b|\b(?:potreboval|potrebovala) bych\b"
    r"|\bbylo (?:by )?(?:\w+ )?(?:potreba|nutne|treba) (?:\w+ )?(?:overit|vyhledat|provest"
    r"|konzultovat|dohledat)\b"
    r"|\bbych potreboval\w*\b|\bneexistuj[ei] (?:\w+ ){0,4}(?:informac\w*|zaznam\w*|udaj\w*)"
    r"|\bnejsem si (?:\w+ ){0,2}jist\w*"
    # German and Dutch
    r"|\bweiss ich (?:\w+ )?nicht\b|\bich weiss (?:\w+ ){0,2}nicht\b|\bkeine ahnung\b"
    r"|\btut mir leid\b"
    r"|\b(?:kann|konnte) (?:\w+ ){0,8}(?:nicht|keine) (?:\w+ ){0,5}(?:beantworten|sagen"
    r"|bestimmen|finden|angeben"
    r"|helfen|bestatigen|geben|machen|feststellen)\b|\bkeine (?:\w+ ){0,3}(?:informationen"
    r"|angaben|daten)\b"
    r"|\bist (?:mir )?nicht bekannt\b|\b(?:ik )?weet (?:ik )?(?:het )?(?:helaas )?niet\b"
    r"|\bgeen idee\b|\bhet spijt me\b"
    r"|\bik (?:kan|heb|beschik) (?:\w+ ){0,5}(?:niet|geen)\b"
    # French
    r"|\bje ne (?:sais|connais|peux|dispose|suis|trouve|possede|parviens)\b|\bje nai (?:pas"
    r"|aucune)\b"
    r"|\baucune (?:idee|information)\b|\bdesolee?,? (?:mais )?je\b|\bimpossible de (?:determiner"
    r"|repondre|savoir)\b"
    # Spanish, Portuguese and Italian
    r"|\bno lo se\b|\bno (?:puedo|tengo|dispongo|conozco|encuentro|recuerdo|estoy segur\w)\b"
    r"|\blo siento\b"
    r"|\bdesconozco\b|\bse desconoce\b|\bno hay (?:\w+ ){0,3}informacion\b|^no se\W*$"
    r"|\bnao sei\b|\bnao (?:posso|tenho|consigo|conheco|disponho|encontrei)\b|\bdesconheco\b"
    r"|\blamento\b"
    r"|\bnao ha (?:\w+ ){0,3}informac\w+"
    r"|\bnon (?:lo )?so\b|\bnon (?:posso|ho|conosco|dispongo|riesco|sono (?:in grado|sicur\w"
    r"|a conoscenza))\b"
    r"|\bmi dispiace\b"
    # Polish, Russian, Turkish, Vietnamese and Indonesian
    r"|\bnie (?:wiem|moge|mam|znam|posiadam|dysponuje|jestem (?:w stanie|pewien|pewna))\b"
    r"|\bprzykro mi\b"
    r"|\b(?:я )?не (?:знаю|могу|располагаю|уверен\w*|известно|удалось|имею)\b|\bнеизвестно\b"
    r"|\bу меня нет\b"
    r"|\bнет (?:\w+ ){0,3}(?:информации|данных|сведении)\b|\bизвините\b"
    r"|\bbilmiyorum\b|\bbilgim yok\b|\bemin degilim\b|\buzgunum\b"
    r"|\btoi khong (?:biet|the|co)\b|\bxin loi\b|\bsaya tidak (?:tahu|dapat|memiliki|bisa|yakin)\b"
    # Chinese, Japanese, Korean, Arabic and Hindi
    r"|不知道|不清楚|不确定|不確定|无法|無法|抱歉|对不起|對不起|不了解|不能(?:回答|提供|协助)"
    r"|没有(?:相关|足够)?的?(?:信息|资料|数据)"
    r"|(?:わか|分か)りません|知りません|存じません|(?:回答|お答え|確認)でき|申し訳|不明です|情報が(?:ありません|ない)"
    r"|모르겠|모릅니다|알 수 없|죄송|(?:확인|답변|제공)할 수 없|정보가 없"
    r"|لا (?:اعرف|اعلم|يمكنني|استطيع|املك|تتوفر|تتوافر)|لست (?:متاكد|قادر)|اسف|عذرا|غير معروف"
    r"|(?:नहीं|नही) (?:पता|जानता|जानती|मालूम)|मुझे नहीं|क्षमा करें"
)
GUESSES = re.compile(
    r"\b(?:pravdepodobne|nejspis\w*|zrejme|hadal\w*|tipoval\w*|domnivam|odhad\w*|nicmene|presto"
    r"|wahrscheinlich|vermutlich|waarschijnlijk|probablement|probablemente|creo que"
    r"|provavelmente|acho que"
    r"|probabilmente|prawdopodobnie|вероятно|возможно|думаю|muhtemelen)\b|可能|也许|おそらく|たぶん|아마|ربما|शायद"
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
