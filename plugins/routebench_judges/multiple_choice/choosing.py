"""Find the option that an answer in prose chooses, from its firmest statements down."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice

from routebench_judges.answers.finals import MOST, boxes, meant, plain, settled
from routebench_judges.multiple_choice import cues, languages
from routebench_judges.multiple_choice.options import AnswerOptions, key


@dataclass(frozen=True, slots=True)
class Choice:
    """The letters that an answer chooses; none, one, or several."""

    letters: list[str]
    firm: bool
    """Whether it states them as its answer, so that doubts elsewhere do not matter."""
    torn: bool = False
    """Whether several statements, none of them firm, each choose another one."""
    unread: bool = False
    """Whether it may choose one in a language that is not known."""


class Reader:
    """Reader of the answers to one question."""

    def __init__(self, options: AnswerOptions, question: str) -> None:
        self.options = options
        # `A is right` chooses nothing where the wrong one is asked for.
        self.asks_wrong = any(cues.NEGATIVE.finditer(question))

    def chosen(self, text: str) -> Choice:
        """Return the letters that an answer chooses, and how it states them."""
        body = self._own_part(languages.latin_letters(plain(text).strip()))
        several = len(list(cues.MAIN.finditer(body))) > 1 if len(body) < 200 else False
        if not several and (whole := self._whole(body)):
            return Choice(self._one(whole), True)
        for firm in (self._boxed(body) + self._cued(body, cues.FINAL), self._committed(body)):
            if firm and (letters := _final(body, sorted(firm))):
                return Choice(self._one(letters), True)
        if len(bold := self._bold(body)) == 1:
            return Choice(bold, True)
        if settling := self._settling(body):
            return Choice([settling], False)
        if weak := settled(body, sorted(self._weak(body))):
            letters = _flat(weak)
            torn = len(weak) > 1 and all(len(each) == 1 for each in weak)
            return Choice(self._one(letters), False, torn)
        if len(led := self._led(body)) == 1 and not (self.options and len(led[0]) > 2):
            return Choice(self._one(list(led[0])), False)
        found = self._by_text(body)
        return Choice(
            found,
            False,
            unread=not found and len(led) < 2 and self._names_any(body) and languages.unread(body),
        )

    def _own_part(self, body: str) -> str:
        """Return an answer without the further questions that it makes up and answers."""
        if not (runaway := cues.RUNAWAY.search(body)):
            return body
        own = body[: runaway.start()]
        firm = self._boxed(own) + self._cued(own, cues.FINAL) + self._cued(own, cues.MAIN)
        return own if firm else body

    def _names_any(self, body: str) -> bool:
        lone = cues.ALONE.finditer(body)
        return any(
            not match[0].isascii() or self._valid(match[0], True) for match in islice(lone, MOST)
        )

    def _settling(self, body: str) -> str | None:
        """Return the one option that the last sentences settle on, by letter and text."""
        sentences = [one for one in cues.SENTENCES.split(body) if one and one.strip()]
        if sum(bool(cues.LED.match(one)) for one in sentences) > 1:
            return None  # the options one by one
        for n, sentence in enumerate(sentences[:-4:-1]):
            if sentence.rstrip().endswith("?") or len(sentence) > 1500:
                return None
            letters = self._named_in(sentence)
            if letters and (n == 0 or cues.CONCLUDES.search(sentence)):
                return letters[0] if len(letters) == 1 else None
        return None

    def _named_in(self, sentence: str) -> list[str]:
        """Return the letters that a sentence names with brackets, a word or the option's text."""
        letters, rejected = [], set()
        for match in islice(cues.NAMED.finditer(sentence), MOST):
            letter = match["letter"] or match["word"] or match["last"] or match["bare"]
            if not self._valid(letter, True):
                continue
            after = sentence[match.end() : match.end() + cues.NEAR].lstrip(" *:-–—.,)(\"'“")
            opened = self.options.opening(after) if self.options else None
            if match["bare"] and not (opened and opened[0] == letter):
                continue
            if opened and opened[0] != letter:
                return []
            before = sentence[max(0, match.start() - 60) : match.start()]
            undone = cues.UNDONE.match(sentence, match.end()) or (
                opened and cues.DENIED.search(after[: len(self.options.texts[letter]) + 40])
            )
            if undone or cues.REJECTS.search(before) or not meant(sentence, match.start()):
                rejected.add(letter)
            else:
                letters.append(letter)
        return [one for one in dict.fromkeys(letters) if one not in rejected]

    def _one(self, letters: list[str]) -> list[str]:
        """Return the option that stands for these letters, `Both A and B`, if there is one."""
        joint = self.options.joining(frozenset(letters)) if len(letters) > 1 else None
        return [joint] if joint else letters

    def _whole(self, body: str) -> list[str]:
        """Return the choice of an answer of letters alone, or of one option's text."""
        bare = cues.SIGNS.sub(" ", body) if len(body) < 200 else "…"
        tokens = [token for token in bare.split() if not cues.BARE.fullmatch(token)]
        if tokens and all(len(token) == 1 and self._valid(token, True) for token in tokens):
            return list(dict.fromkeys(token.upper() for token in tokens))
        option = self.options.named(body) if len(body) < 2000 else None
        return [option] if option else []

    def _valid(self, letter: str, closed: bool) -> bool:
        name = letter.upper()
        if not ("A" <= name <= "Z"):
            return False
        return name in self.options.texts or name in "ABCDEFGHJ" or (name == "I" and closed)

    def _boxed(self, body: str) -> list[tuple[int, tuple[str, ...]]]:
        statements = []
        for box in boxes(body):
            letters = self._whole(box.text.strip()) or self._statement(box.text, 0)
            if letters:
                statements.append((box.start, tuple(letters)))
        return statements

    def _cued(
        self, body: str, cue: cues.Cue | re.Pattern[str]
    ) -> list[tuple[int, tuple[str, ...]]]:
        statements = []
        for match in islice(cue.finditer(body), MOST):
            letters = self._statement(body, match.end(), match.start())
            if letters and meant(body, match.start()):
                statements.append((match.end(), letters))
        return statements

    def _committed(self, body: str) -> list[tuple[int, tuple[str, ...]]]:
        """Return statements such as `the answer is B`, and a first or last line of one letter."""
        statements = self._cued(body, cues.MAIN) + self._cued(body, cues.CORRECTS)
        if languages.may_cue(body):
            statements += self._cued(body, languages.CUES)
        for at, line in _outer_lines(body):
            lone = cues.LONE.fullmatch(line.strip(" \t*_`#>\"'"))
            if lone and self._valid(lone[1], True):
                statements.append((at, (lone[1],)))
        return statements

    def _statement(self, body: str, at: int, cue: int | None = None) -> tuple[str, ...]:
        """Return the letters that stand right after a cue; none where something else does."""
        rest = _skipped(body[at : at + cues.NEAR])
        reading = self._letters(rest)
        if reading is None:
            return self._texts(rest)
        letters, end = reading
        asks = rest[end : end + 2].lstrip("*)")[:1] == "?"
        if asks and cue is not None and cues.ASKS.search(body[max(0, cue - 12) : cue]):
            return ()  # `is the answer B?`
        return letters

    def _letters(self, rest: str) -> tuple[tuple[str, ...], int] | None:
        """Return the letters that a text begins with, and where they end; None without any."""
        first = cues.LETTER.match(rest)
        if not first or not self._stands(first, rest):
            return None
        letters, end = [first["letter"].upper()], first.end()
        listed = bool(cues.COMMA.match(rest, end))
        while more := cues.JOINED.match(rest, end):
            closed = bool(more["close"])
            ends = self._ends(rest, more.end()) or cues.ARE.match(rest, more.end())
            if not (ends and self._valid(more["letter"], closed)):
                break
            letters.append(more["letter"])
            end = more.end()
        if cues.UNDONE.match(rest, end):
            # `The answer is A, B and C are wrong`, but `A and B are wrong`.
            return ((letters[0],), first.end()) if listed and len(letters) > 1 else ((), end)
        other = self._contradicted(letters[0], rest[first.end() :]) if len(letters) == 1 else None
        return tuple(dict.fromkeys([*letters, other] if other else letters)), end

    def _stands(self, first: re.Match[str], rest: str) -> bool:
        """Return whether a letter is a choice, and no article, pronoun or initial."""
        letter, closed = first["letter"], bool(first["close"])
        if not self._valid(letter, closed):
            return False
        if closed or self._ends(rest, first.end()):
            return True
        if letter.islower():
            return False
        after = rest[first.end() :]
        opened = self.options.opening(after.split("\n")[0])
        if opened and opened[0] == letter.upper():
            return True
        if self.options and self._texts(rest):
            return False  # `A Farewell to Arms`
        return bool(letter not in "AI" and re.match(r"\s+[A-Z0-9]", after))

    def _ends(self, rest: str, at: int) -> bool:
        return bool(cues.ENDS.match(rest, at) or cues.GOES_ON.match(rest, at))

    def _contradicted(self, letter: str, after: str) -> str | None:
        """Return another option, if its text is given with the letter: `B) London`."""
        if not self.options:
            return None
        line = after.split("\n", 1)[0].lstrip(" *).:]-–—=(,")
        if not line:
            return None
        opened = self.options.opening(line)
        if opened and opened[0] == letter:
            return None
        segment = cues.PARTS.split(line, maxsplit=1)[0]
        other = self.options.named(segment)
        telling = other and (len(segment.strip()) > 2 or segment.strip().isdigit())
        return other if telling and other != letter else None

    def _texts(self, rest: str) -> tuple[str, ...]:
        """Return the options whose texts a text begins with: `Paris`, `Paris or London`."""
        if not self.options or not self.options.may_begin(rest):
            return ()
        cuts = [cut.start() for cut in islice(cues.CUTS.finditer(rest), 12)] + [len(rest)]
        ends = []
        for cut in cuts:
            begun = key(rest[:cut])
            if option := self.options.with_words(begun):
                ends.append((cut, option))
            elif begun and not self.options.may_go_on(begun, rest):
                break
        if not ends:
            return ()
        end, option = ends[-1]
        if cues.UNDONE.match(rest, end):
            return ()
        joined = cues.OR.match(rest, end)
        more = self._texts(rest[joined.end() :]) if joined and joined.end() > end else ()
        return tuple(dict.fromkeys([option, *more]))

    def _bold(self, body: str) -> list[str]:
        """Return the choices in bold; several are a list of options rather than a choice."""
        choices: list[str] = []
        for match in islice(cues.BOLD.finditer(body), MOST):
            if not meant(body, match.start()) or cues.UNDONE.match(body, match.end()):
                continue
            rest = _skipped(match[1])
            letters = self._letters(rest)
            choices += letters[0] if letters else self._texts(rest)
        return list(dict.fromkeys(choices))

    def _weak(self, body: str) -> list[tuple[int, tuple[str, ...]]]:
        statements = self._cued(body, cues.WEAK)
        if (first := cues.BEGINS.match(body)) and self._valid(first["letter"], True):
            statements.append((0, (first["letter"],)))
        elsewhere = languages.AFTERWARDS.finditer(body) if languages.may_cue(body) else ()
        for match in islice(elsewhere, MOST):
            if self._valid(match["letter"], True) and not self.asks_wrong:
                statements.append((match.start(), (match["letter"].upper(),)))
        for match in islice(cues.LEFT.finditer(body), MOST):
            letter = match["letter"] or match["after"] or match["sole"] or match["does"]
            if self._valid(letter, True) and meant(body, match.start()):
                statements.append((match.start(), (letter,)))
        for match in islice(cues.AFTERWARDS.finditer(body), MOST):
            named = match["what"].split()[-1] in ("answer", "option", "choice", "one")
            stands = self._valid(match["letter"], True) and meant(body, match.start())
            if stands and (named or not self.asks_wrong):
                statements.append((match.start(), (match["letter"],)))
        return statements

    def _led(self, body: str) -> list[tuple[str, ...]]:
        """Return the letters that begin a line, as in `B) Paris`, each with what contradicts it."""
        choices = []
        for line in body.split("\n")[:MOST]:
            led = cues.LED.match(line)
            if led and self._valid(led["letter"], True) and not cues.DENIES.search(line[:200]):
                letter = led["letter"].upper()
                other = self._contradicted(letter, line[led.end() :])
                choices.append((letter, other) if other else (letter,))
        return list(dict.fromkeys(choices))

    def _by_text(self, body: str) -> list[str]:
        """Return the option that one sentence names, where it names no other and denies nothing."""
        sentence = body.strip(" \n*.!")
        if (
            len(sentence) > 300
            or re.search(r"[.!?]\s|\n", sentence)
            or cues.DENIES.search(sentence)
        ):
            return []
        mentioned = self.options.mentioned(sentence)
        if len(mentioned) != 1:
            return []
        wanted, given = self.options.keys[mentioned[0]], key(sentence)
        # A number or a short word may stand anywhere by chance.
        telling = max(map(len, wanted)) > 3 and not any(word.isdigit() for word in wanted)
        ends = given[: len(wanted)], given[-len(wanted) :]
        return mentioned if telling or wanted in ends else []


def _final(body: str, statements: list[tuple[int, tuple[str, ...]]]) -> list[str]:
    """Return the letters that firm statements end with; all of them where they do not agree.

    `A or D, so D` ends with D, and what comes back to its first choice at its end with that.
    """
    chosen = settled(body, statements)
    if len(chosen) < 2:
        return _flat(chosen)
    first, *_, last = (letters for _, letters in statements)
    if len(last) == 1 and (last == first or all(last[0] in letters for letters in chosen)):
        return list(last)
    return _flat(chosen)


def _skipped(rest: str) -> str:
    """Return what follows a cue without the words and signs that may stand between."""
    between = cues.SKIP.match(rest)
    return rest[between.end() :] if between else rest


def _outer_lines(body: str) -> list[tuple[int, str]]:
    """Return the first and the last line that is not blank, with their places."""
    first = cues.LINE.search(body)
    if first is None:
        return []
    last = body.rfind("\n", 0, len(body.rstrip())) + 1
    lines = [(first.start(), first[0])]
    return lines + ([(last, body[last:].split("\n", 1)[0])] if last > first.end() else [])


def _flat(statements: list[tuple[str, ...]]) -> list[str]:
    return list(dict.fromkeys(letter for letters in statements for letter in letters))
