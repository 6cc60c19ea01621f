"""Phrases with which answers in other languages than English choose a letter."""

from __future__ import annotations

import re

from routebench_judges.answers.folding import listed_words
from routebench_judges.multiple_choice.cues import cased_otherwise

# Chinese, Japanese, Korean, Spanish, Portuguese, French, German, Italian, Russian, Arabic, Hindi,
# and after these Dutch, Polish, Czech, Turkish, Vietnamese and Indonesian.
_OPTION = (
    r"(?:\s?(?:选项|選項|選択肢|选|보기|opción|opcion|opção|opcao|alternativa|la|a|die|der|de|l['’]|option|lettre"
    r"|letra|lettera|opzione|buchstabe|antwort|вариант|буква|под буквой|الخيار|الحرف|विकल्प"
    r"|optie|odpowiedź|opcja"
    r"|možnost|seçenek|şıkkı|phương án|đáp án|opsi|pilihan|huruf)"
    r"(?![^\W\d_])|\s?(?:选项|選項|選択肢))*"
)
_IS = r"\s*[*_\"'“«]*\s*(?:[:=]|[-–—]+>?)?\s*[*_\"'“«]*"
CUES = re.compile(
    r"(?:"
    r"(?:最终|最終|正确|正確|最佳)?(?:的)?(?:答案|选项|選項)(?:应该|應該|应|應)?(?:是|为|為|选|選|:)|(?:故|因此|所以)?(?:应|應|我)?(?:选择|選擇|选|選)(?!项|項|择|擇)(?:的是|了)?"
    r"|(?:正解|答え|解答|回答|正しい選択肢|正しいもの)(?:は|:)"
    r"|(?:정답|답|올바른 답|최종 답)(?:은|는|:)"
    r"|\brespuesta(?:\s(?:correcta|final|es|más\s\w+))*\s?(?:\bes\b|\bsería\b|:)|\b(?:elijo|escojo)\b|\bopción\s(?:correcta|final)\s(?:es|:)"
    r"|\b(?:resposta|alternativa)(?:\s(?:correta|certa|final))*\s?(?:\bé\b|\bseria\b|:)|\bescolho\b|\bopção\scorreta\s(?:é|:)"
    r"|\b(?:bonne\s)?réponse(?:\s(?:correcte|finale|exacte|juste))*\s?(?:\best\b|\bserait\b|:)|\bje\schoisis\b|\boption\scorrecte\sest\b"
    r"|\b(?:antwort|lösung)\s?(?:(?:ist|wäre|lautet)\b|:)|\brichtig\sist\b|\bich\swähle\b|\bantwort\s(?=[A-J]\b)"
    r"|\brisposta(?:\s(?:corretta|esatta|giusta|finale))*\s?(?:è|sarebbe|:)|\bscelgo\b|\bopzione\scorretta\sè"
    r"|\b(?:правильный|верный|итоговый|окончательный)?\s?(?:ответ|вариант)(?:ом)?\s?(?::|[-–—]|является|будет|это)|\bя\sвыбираю\b"
    r"|(?:الإجابة|الاجابة|الجواب|إجابة)(?:\s(?:الصحيحة|الصحيح|النهائية|النهائي))*\s?(?:هي|هو|:)|(?:اخترت|أختار)"
    r"|(?:सही\s|अंतिम\s)?(?:उत्तर|जवाब|विकल्प)(?:\sहै)?\s?:?"
    r"|\b(?:juiste\s)?antwoord\s(?:is\b|:)|\bantwoord\s?:|\bik\skies\b"
    r"|\b(?:prawidłow[aą]|poprawn[aą])?\s?odpowied[źz](?:\s(?:to|jest))?\s?(?::|\bto\b|\bjest\b)|\bwybieram\b"
    r"|\b(?:správná\s)?odpověď(?:\s(?:je|zní))?\s?(?::|\bje\b|\bzní\b)|\bvolím\b"
    r"|\b(?:doğru\s)?(?:cevap|yanıt)\s?:?"
    r"|(?:đáp\sán|câu\strả\slời)(?:\s(?:đúng|chính\sxác|cuối\scùng))*\s?(?:là|:)|\bchọn\b"
    r"|\bjawaban(?:nya)?(?:\s(?:yang\s)?(?:benar|tepat|akhir))*\s?(?:adalah|ialah|:)"
    r")" + _OPTION + _IS,
    re.I,
)
# `B 是正确的`, `B ist richtig`, `B es la respuesta correcta`.
AFTERWARDS = re.compile(
    r"(?<![A-Za-z0-9'’.-])[(\[*]{0,4}(?P<letter>[A-Z])[)\]*]{0,4}(?:[.:]\s[^.\n]{0,80}?)?\s?"
    r"(?:是(?:正确|正確|对|對)|(?:项|項|选项)?(?:正确|正確)|が正(?:解|しい)|(?:가|이)\s?(?:정답|맞)"
    r"|\bes\s(?:la\s)?(?:respuesta\s|opción\s)?correcta\b|\bé\sa\s(?:resposta|alternativa|opção)\s(?:correta|certa)\b"
    r"|\best\s(?:la\s(?:bonne\s)?réponse|correcte?)\b|\bist\s(?:die\srichtige\santwort|richtig|korrekt)\b"
    r"|\bè\s(?:la\srisposta|corretta|l['’]opzione\scorretta)|\b(?:[-–—]\s)?(?:правильный|верный)\s(?:ответ|вариант)"
    r"|\s?هو\sالصحيح|\s?هي\sالصحيحة|\s?सही\s(?:उत्तर|विकल्प)?\s?है|\sis\s(?:het\s)?juist|\sje\ssprávně)",
    re.I,
)
_TELLTALE_WORDS = (
    "respuesta", "elijo", "escojo", "opcion", "opción", "resposta", "alternativa", "escolho",
    "antwort", "lösung", "richtig", "wähle", "risposta", "scelgo", "opzione", "réponse", "choisis",
    "correcte", "antwoord", "kies", "odpow", "wybieram", "odpov", "cevap", "yanit", "jawaban",
    "đáp", "câu trả", "chọn",
)  # fmt: skip
# What stands in each of them that has ASCII letters alone.
_TELLTALE_PARTS = (
    "respuesta", "elijo", "escojo", "escolho", "opcion", "sposta", "alternativa", "antwo",
    "richtig", "scelgo", "opzione", "choisis", "correcte", "kies", "odpo", "wybieram", "cevap",
    "yanit", "jawaban",
)  # fmt: skip
# Other words of `CUES` and `AFTERWARDS`; they count where there are letters of another script too.
_OTHER_WORDS = (
    "opção", "volím", "correcta", "corretta", "korrekt", "juist", "správně", "est correct",
    "est\ncorrect",
)  # fmt: skip
_TELLTALE = re.compile("|".join(_TELLTALE_WORDS), re.I)
_GREEK = re.compile("[\u0370-\u03ff]")  # of formulas; no cue has them
_TELLTALE_LETTER = re.compile(r"[^\x00-\u03ff\u2000-\u2bff\U0001d000-\U0001ffff]")


def may_cue(text: str) -> bool:
    """Return whether `CUES` or `AFTERWARDS` may find anything: a fast way out."""
    words: tuple[str, ...] = _TELLTALE_WORDS
    if not text.isascii():
        greek = _GREEK.search(text) is not None
        if _TELLTALE_LETTER.search(text) or (greek and cased_otherwise(text)):
            return True
        if cased_otherwise(text):
            return _TELLTALE.search(text) is not None
        words = words + _OTHER_WORDS if greek else words
    low = text.lower()
    if text.isascii():
        words = _TELLTALE_PARTS
    for word in words:  # noqa: SIM110 (any() takes twice as long)
        if word in low:
            return True
    return False


_ALIKE = str.maketrans("АСНТ", "ACHT")
_CYRILLIC = re.compile(r"(?<=[:=—–\s(*\"«-])[АСН](?=$|[\s).,:;*\"»])")
_FOREIGN = re.compile(r"[^\W\d_a-zA-Z\u0370-\u03ff]")
_LATIN = re.compile(r"[a-zA-Z]")
_ENGLISH = frozenset(
    listed_words(
        "the is are of to and in that it this for be by with as on not or from which an can at "
        "we was if has have neither nor does only fits yes best all first think both either none"
        " but answer option choice correct therefore so because i you my would should there"
    )
)


def latin_letters(text: str) -> str:
    """Return a text with Cyrillic letters that can only be meant as Latin ones made Latin.

    `В` and `Е` stay: they may also be the third and the sixth letter of the Cyrillic alphabet.
    """
    return (
        _CYRILLIC.sub(lambda match: match[0].translate(_ALIKE), text)
        if not text.isascii()
        else text
    )


def unread(text: str) -> bool:
    """Return whether a text is in a language, or script, whose words are not known here."""
    if len(_FOREIGN.findall(text)) > len(_LATIN.findall(text)):
        return True
    tokens = re.findall(r"[^\W\d_]{2,}", text.lower()[:2000])
    return len(tokens) > 3 and _ENGLISH.isdisjoint(tokens) and re.search(r"[\\=+<>^]", text) is None
