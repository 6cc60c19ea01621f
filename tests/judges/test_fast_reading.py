"""The fast ways out of reading an answer: each leaves out only what would find nothing."""

from __future__ import annotations

from itertools import product

import pytest

from routebench_judges.answers import traces
from routebench_judges.multiple_choice import cues, languages
from routebench_judges.multiple_choice.choosing import Reader
from routebench_judges.multiple_choice.options import AnswerOptions, key, read_options

TEXTS = [
    "The answer is (B). So my final choice: C, as the correct option is C.",
    "Answer: B\nfinal answer #### D",
    "THE BEST CHOICE IS A. Wait, no: B.",
    "vote: C; the appropriate response is D",
    "the fınal answer is A, and the İnitial answer is B",
    "my selection is C, the Kelvin answer is D, ſo the final choice: A",
    "transanswer is B, the answers: C",
    "no. B.\nActually, C.\nI mean D.",
    "Réponse finale : B. Die richtige Antwort ist C; θ = 2 und opção correta é D.",
    "",
]


@pytest.mark.parametrize("cue", [cues.FINAL, cues.MAIN, cues.CORRECTS])
def test_a_cue_finds_what_its_pattern_finds(cue: cues.Cue) -> None:
    for text in [*TEXTS, " ".join(TEXTS)]:
        alone = [match.span() for match in cue.pattern.finditer(text)]
        assert [match.span() for match in cue.finditer(text)] == alone


def test_no_cue_of_another_language_is_passed_over() -> None:
    said = [
        "La respuesta es B", "Elijo B", "A resposta é C", "La réponse est D", "B est correcte",
        "Je choisis C", "Die Antwort ist B", "Ich wähle C", "La risposta è B", "Ответ: C",
        "答案是B", "Het juiste antwoord is C", "Odpowiedź: B", "Odpověď je C", "Cevap: A",
        "Yanıt: B", "YANIT: C", "Đáp án là C", "Jawabannya adalah B", "सही उत्तर: C",
    ]  # fmt: skip
    for text, greek in product(said, ("", " θ")):
        found = languages.CUES.search(text) or languages.AFTERWARDS.search(text)
        assert found is not None, text
        assert languages.may_cue(text + greek), text
    assert not languages.may_cue("The answer is B, as θ grows.")


def test_an_option_is_named_by_its_words_alone() -> None:
    options = AnswerOptions(
        dict(zip("ABCDEFGH", ("Paris", "The Hague", "A", "don't know", "3/4", "and", "new york",
                              "New York City"), strict=True))
    )  # fmt: skip
    leads = ["", " ", "**", "the ", "The ", "A ", "an "]
    bodies = ["Paris", "Hague", "hague.", "and", "dont know", "don't know!", "3/4", "New York",
              "New York City", "Parisian", "Paris's", "Paris, it is", "", "is", "É"]  # fmt: skip
    for lead, body, end in product(leads, bodies, ["", ".", "\n", " because of it", "**"]):
        text = lead + body + end
        words = key(text)
        by_words = [letter for letter, own in options.keys.items() if own and own == words]
        assert options.named(text) == (by_words[0] if len(by_words) == 1 else None), text


def test_options_are_read_in_lines_and_inline() -> None:
    lined = "Which?\nA) one\n B. two (A) of them\n(C) three\nD: four\n\nAnswer:"
    assert read_options(lined).texts == {"A": "one", "B": "two (A) of them", "C": "three",
                                         "D": "four"}  # fmt: skip
    assert read_options("Which? (A) one (B) two x(C) three").texts == {
        "A": "one", "B": "two x(", "C": "three",
    }  # fmt: skip
    assert read_options("A) one\nB) two").texts == {"A": "one", "B": "two"}
    assert not read_options("No list, (A) alone.")


def test_texts_that_options_join_are_all_read() -> None:
    reader = Reader(read_options("Which?\nA) Paris\nB) The Hague\nC) Rome"), "Which?")
    assert reader.chosen("The answer is Paris or The Hague.").letters == ["A", "B"]
    assert reader.chosen("The answer is: the Hague, as it was said.").letters == ["B"]


@pytest.mark.parametrize(
    ("text", "tidy"),
    [
        ("a  b \n c", "a b\nc"),
        ("the\nend of\n\nit, and\nI'm in\nParis", "the end of it, and I'm in Paris"),
        ("x\n\n\n\nY z", "x\n\nY z"),
        ("One.\nTwo", "One.\nTwo"),
        ("a\tb\r\nC\u2028D", "a b\nC\nD"),
    ],
)
def test_lines_are_tidied(text: str, tidy: str) -> None:
    assert traces.tidied(text) == tidy


def test_courtesies_are_left_out_twice_at_each_end() -> None:
    said = "Sure! Of course. It is B. I hope this helps! Let me know if you need more."
    assert traces.final_answer(said).text == "It is B."
    assert traces.final_answer("It is B.\nThanks for asking ☺").text == "It is B."
    assert traces.final_answer("I hope this helps!").text == "I hope this helps!"
