"""The exact judge on symbols and codes, which look like words, and on addresses."""

from __future__ import annotations

import pytest
from test_exact import C, N, W, graded

from routebench.records import Grade

SYMBOL = "What is the chemical symbol for the element?"
CODE = "What is the ISO code of the country?"
MONTH = "Which month?"
LETTER = "Which letter is it?"
DOMAIN = "What is the country code top-level domain of Italy?"
AIRPORT = "What is the IATA code?"
AGENCY = "Which agency?"
COUNTRY = "Which country?"
WON = "Who won?"
GRADE = "What grade did he get?"
ADDRESS = "What is the address?"
DOI = "What is the DOI?"


@pytest.mark.parametrize(
    ("question", "reference", "answer", "grade"),
    [
        (SYMBOL, "Fe", "N", W),
        (SYMBOL, "Fe", "Be", W),
        (CODE, "FR", "IT", W),
        (CODE, "FR", "Perhaps IT.", W),
        (CODE, "FR", "It is IT.", W),
        (CODE, "FR", "NA", W),
        (CODE, "FR", "N/A", N),
        (SYMBOL, "Fe", "n/a", N),
        (SYMBOL, "Fe", "Na", W),
        (SYMBOL, "Na", "Na", C),
        (SYMBOL, "Fe", "I", W),
        ("Which band?", "U2", "IT", W),
        (CODE, "FR", "AN", W),
        (CODE, "FR", "Maybe.", N),
        (CODE, "FR", "It is.", N),
        (CODE, "FR", "I think it is AN", W),
        (SYMBOL, "Fe", "no", W),
        (SYMBOL, "Fe", "No", W),
        (SYMBOL, "Fe", "be", W),
        (SYMBOL, "Fe", "It could be anything.", N),
        (SYMBOL, "Fe", "Not sure", N),
        (SYMBOL, "Fe", "NOT SURE", N),
        (SYMBOL, "Fe", "IDK", N),
        (SYMBOL, "Fe", "TBD", N),
        ("Which city?", "Rome", "NA", N),
        ("Which city?", "Rome", "It", N),
        ("Which city?", "Rome", "MAYBE", N),
        (SYMBOL, "Fe", "Is it N?", W),
        (SYMBOL, "Fe", "It might be Be.", W),
        (CODE, "AI", "AI", C),
        (CODE, "FR", "AI", W),
        (CODE, "FR", "As an AI, I cannot say.", N),
        (CODE, "NO", "NO", C),
        (CODE, "NO", "no idea", N),
        (CODE, "NO", "No, I don't know.", N),
        (CODE, "FR", "DO", W),
        (CODE, "CA", "CAN", W),
    ],
)
def test_a_short_answer_is_one_where_it_looks_like_a_symbol(
    question: str, reference: str, answer: str, grade: Grade
) -> None:
    assert graded(question, reference, answer) == grade


@pytest.mark.parametrize(
    ("question", "reference", "answer", "grade"),
    [
        (SYMBOL, "In", "That is Fe. This comes up often in quizzes.", W),
        (
            SYMBOL,
            "Be",
            "It is Fe. I am unable to confirm this. An encyclopedia would be the best source.",
            W,
        ),
        (SYMBOL, "In", "In", C),
        (SYMBOL, "In", "in", C),
        (SYMBOL, "In", "It is In.", C),
        (SYMBOL, "In", "The symbol is In, from indigo.", C),
        (SYMBOL, "In", "**In**", C),
        (SYMBOL, "In", "In is the symbol of indium.", C),
        (SYMBOL, "In", "In chemistry it is Fe.", W),
        (SYMBOL, "In", "Fe. In quizzes it comes up.", W),
        (SYMBOL, "He", "He was a chemist; it is Ne.", W),
        (SYMBOL, "He", "He", C),
        (SYMBOL, "I", "I think it is Br.", W),
        (SYMBOL, "I", "It is I.", C),
        (SYMBOL, "I", "Fe, I think.", W),
        (SYMBOL, "I", "The symbol is I for iodine.", C),
        (SYMBOL, "As", "As a rule, it is Fe.", W),
        (SYMBOL, "As", "As (arsenic)", C),
        (SYMBOL, "As", "Its symbol is As.", C),
        (SYMBOL, "At", "At is the symbol.", C),
        (SYMBOL, "No", "No", C),
        (SYMBOL, "No", "No, it is Fe.", W),
        (SYMBOL, "No", "It is No.", C),
        (SYMBOL, "Co", "CO", W),
        (SYMBOL, "Co", "It is CO.", W),
        (SYMBOL, "Co", "co", C),
        (SYMBOL, "Co", "Co", C),
        (SYMBOL, "Fe", "`Fe`", C),
        (SYMBOL, "Fe", '"Fe"', C),
        (SYMBOL, "Fe", "Answer: Fe", C),
        (SYMBOL, "Fe", "<b>Fe</b>", C),
        (SYMBOL, "Fe", "The symbol is \\text{Fe}.", C),
        (CODE, "IT", "IT", C),
        (CODE, "IT", "It is FR.", W),
        (CODE, "IT", "it", C),
        (CODE, "IT", "The code is IT.", C),
        (CODE, "US", "He told us it is UK.", W),
        (CODE, "US", "us", C),
        ("Who sang it?", "Cher", "cher", C),
        ("Who was it?", "Leo", "leo", C),
        ("Who was it?", "Leo", "LEO", C),
        ("Who was it?", "Leo", "It was Leo, I think.", C),
        (MONTH, "May", "It may be June.", W),
        (MONTH, "May", "In May.", C),
        (MONTH, "May", "may", C),
        ("Who wrote it?", "Poe", "It was written by Poe.", C),
        ("What is the group?", "Yes", "Yes", C),
        ("What is the group?", "Yes", "Genesis", W),
        (LETTER, "A", "It is a C.", W),
        (LETTER, "A", "A", C),
        (LETTER, "A", "The letter A.", C),
        (LETTER, "A", "It is B.", W),
        (LETTER, "A", "A good question: it is B.", W),
        ("What is the symbol?", '["In","indium"]', "It is indium.", C),
        ("What is the symbol?", "In (indium)", "It is In.", C),
        ("What is the symbol?", "In (indium)", "It is used in quizzes: Fe", W),
        ("Is it so?", "No", "no", C),
        ("Is it so?", "Yes", "yes, it is", C),
        (DOMAIN, ".it", "It is .is", W),
        (DOMAIN, ".it", ".it", C),
        (DOMAIN, ".it", "It is .it.", C),
        (DOMAIN, ".it", "it", C),
        (SYMBOL, "Be", "It is not Be.", W),
        (SYMBOL, "Be", "Be or Fe", W),
        (SYMBOL, "Be", "I don't know whether it is Be.", N),
        (SYMBOL, "Be", "It is either B or Be.", W),
        ("Which blood type?", "AB", "AB", C),
        ("Which blood type?", "AB", "ab", C),
        ("What is the vitamin?", "C", "Vitamin C", C),
        (SYMBOL, "I", "I", C),
        (SYMBOL, "I", "I don't know.", N),
        (SYMBOL, "I", "I think it's Br, but I am not sure.", W),
        (SYMBOL, "I", "Br. I am sure.", W),
        (SYMBOL, "I", '"I"', C),
        (SYMBOL, "U", "U", C),
        (SYMBOL, "K", "K (from kalium)", C),
        (SYMBOL, "K", "OK, it is P.", W),
        (SYMBOL, "W", "W, from wolfram", C),
        (SYMBOL, "H", "The element is helium: He", W),
        (SYMBOL, "As", "The symbol for arsenic is As.", C),
        (SYMBOL, "As", "as", C),
        (SYMBOL, "As", "As I said, Fe.", W),
        (SYMBOL, "As", "As is the symbol.", C),
        (SYMBOL, "At", "At least it is not Fe.", W),
        (SYMBOL, "Os", "It is Os or Ir.", W),
        (SYMBOL, "Os", "Os, not Ir", C),
        (SYMBOL, "Os", "Ir, not Os", W),
        (SYMBOL, "No", "No idea.", N),
        (SYMBOL, "No", "No.", C),
        (SYMBOL, "No", "No, sorry.", W),
        (SYMBOL, "He", "Helium has the symbol He.", C),
        (SYMBOL, "He", "I believe he used Ne.", W),
        (SYMBOL, "He", "He is not sure; it is Ne.", W),
        (SYMBOL, "Fe", "fe", C),
        (SYMBOL, "Fe", "The symbol is fe.", W),
        (SYMBOL, "Fe", "FE", W),
        (SYMBOL, "Fe", "iron", W),
        (SYMBOL, '["Fe","iron"]', "iron", C),
        (AIRPORT, "CAN", "CAN", C),
        (AIRPORT, "CAN", "You can say it is PEK.", W),
        (AIRPORT, "LAX", "lax", C),
        (AIRPORT, "LAX", "The code is LAX.", C),
        (AGENCY, "WHO", "Those who did it were from UNICEF.", W),
        (AGENCY, "WHO", "WHO", C),
        (AGENCY, "WHO", "The WHO did it.", C),
        (AGENCY, "WHO", "who", C),
        (COUNTRY, "US", "The US.", C),
        (COUNTRY, "US", "US forces did.", C),
        (COUNTRY, "US", "Let us say France.", W),
        (COUNTRY, "UK", "the uk", C),
        (WON, "Art", "It was state of the art: Bob.", W),
        (WON, "Art", "Art won.", C),
        (WON, "Ray", "A ray of light; Bob won", W),
        (WON, "Ray", "Ray won.", C),
        (WON, "Li", "Li won", C),
        (WON, "Li", "li", C),
        (WON, "Xi", "XI WON", C),
        (WON, "Bo", "bo won it", C),
        (MONTH, "May", "May 5", C),
        (MONTH, "May", "In may", W),
        ("What fruit?", "Fig", "A fig.", C),
        ("What fruit?", "Fig", "fig", C),
        (WON, "Al", "Alabama", W),
        ("Which drink?", "Tea", "Tea, I believe.", C),
        ("Which tree?", "Elm", "It's an elm tree.", C),
        ("Which game?", "Go", "They go on playing chess.", W),
        ("Which game?", "Go", "Go", C),
        ("Which game?", "Go", "It is the game of Go.", C),
        (GRADE, "A", "A", C),
        (GRADE, "A", "A B.", W),
        (GRADE, "A", "He got an A.", C),
        (GRADE, "A", "a", C),
        ("What blood type?", "O", "O positive", C),
    ],
)
def test_a_short_reference_is_told_from_words_by_its_case(
    question: str, reference: str, answer: str, grade: Grade
) -> None:
    assert graded(question, reference, answer) == grade


@pytest.mark.parametrize(
    ("question", "reference", "answer", "grade"),
    [
        ("Did the man who wrote it win?", "Yes", "Yes, he did.", C),
        ("Did the man who wrote it win?", "Yes", "No.", W),
        ("Was it so?", "No", "It was not so.", W),
        ("In 1990, was it won by France?", "No", "No, by Spain.", C),
        ("Is 7 prime, yes or no?", "Yes", "Yes", C),
        ("Which band recorded it?", "Yes", "Yes recorded it.", W),
        ("Which band recorded it?", "Yes", "It was recorded by Yes.", C),
        ("Which band recorded it?", "Yes", "Yes, it was Genesis.", W),
    ],
)
def test_yes_and_no_as_names(question: str, reference: str, answer: str, grade: Grade) -> None:
    assert graded(question, reference, answer) == grade


@pytest.mark.parametrize(
    ("question", "reference", "answer", "grade"),
    [
        (ADDRESS, "https://www.python.org/", "https://python.org", C),
        (ADDRESS, "https://www.python.org/", "http://www.python.org/", C),
        (ADDRESS, "https://www.python.org/", "It is https://www.python.org/.", C),
        (ADDRESS, "https://www.python.org/", "www.python.org", C),
        (ADDRESS, "https://www.python.org/", "python.org", C),
        (ADDRESS, "https://www.python.org/", "https://perl.org", W),
        (ADDRESS, "https://www.python.org/", "https://docs.python.org", W),
        (ADDRESS, "https://www.python.org/", "https://www.python.org/about", W),
        (ADDRESS, "https://www.python.org/", "I don't know.", N),
        (ADDRESS, "https://www.python.org/", "[Python](https://www.python.org/)", C),
        (ADDRESS, "https://www.python.org/", "It is not https://www.python.org/", W),
        (ADDRESS, "https://www.python.org/", "https://www.python.org/ or https://perl.org/", W),
        (DOI, "10.1000/xyz123", "https://doi.org/10.1000/xyz123", C),
        (DOI, "10.1000/xyz123", "doi:10.1000/xyz123", C),
        (DOI, "10.1000/xyz123", "10.1000/xyz123.", C),
        (DOI, "10.1000/xyz123", "10.1000/xyz124", W),
        (DOI, "https://doi.org/10.1000/XYZ123", "10.1000/xyz123", C),
        ("What is the site?", "python.org", "https://www.python.org/", C),
        ("What is the site?", "python.org", "python.org", C),
        ("What is the site?", "python.org", "docs.python.org", W),
        ("What is the company?", "Amazon.com", "Amazon.com, Inc.", C),
        ("What is the capital of France?", "Paris", "https://example.org/Paris", N),
        (
            "What is the page?",
            "https://en.wikipedia.org/wiki/Mercury_(planet)",
            "See https://en.wikipedia.org/wiki/Mercury_(planet).",
            C,
        ),
        (
            "What is the page?",
            "https://en.wikipedia.org/wiki/Mercury_(planet)",
            "(https://en.wikipedia.org/wiki/Mercury_(planet))",
            C,
        ),
        ("Which site?", "www.bbc.co.uk", "https://bbc.co.uk/", C),
    ],
)
def test_addresses(question: str, reference: str, answer: str, grade: Grade) -> None:
    assert graded(question, reference, answer) == grade


@pytest.mark.parametrize(
    "text",
    [
        "In " * 5_000,
        "in " * 5_000,
        "I " * 5_000,
        "a." * 10_000,
        "www." * 5_000,
        "10.1000/" * 5_000,
        "https://x.org/" + ")" * 20_000,
        "((" * 10_000 + "x.org",
        "no. 5 " * 5_000,
        "x and " * 5_000,
        "“unknown " * 5_000,
        '"unknown" is ' * 5_000,
        "i dont know was " * 2_000,
        "In" + " " * 20_000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_long_answers_come_to_a_verdict(text: str) -> None:
    """A pattern that tries all ways to read one would not end within a lifetime."""
    for reference in (
        "In",
        "I",
        ".it",
        "https://x.org/",
        "10.1000/x",
        "x and y",
        "1500",
        "2 medals",
    ):
        question = "What is the symbol of the unknown element?"
        assert graded(question, reference, text) in tuple(Grade)


@pytest.mark.parametrize(
    ("question", "reference", "answer", "grade"),
    [
        ("What is the unit?", "Pa", "The unit is the pascal, Pa.", C),
        ("Which US state code?", "OR", "It is either WA or ID.", W),
        ("Which US state code?", "OR", "OR", C),
        ("Which US state code?", "IN", "Indiana is in the Midwest: IL", W),
        ("Which US state code?", "ME", "It seems to me it is VT.", W),
        ("Which US state code?", "ME", "Maine's code is ME.", C),
        ("Which US state code?", "OH", "Oh, it is KY.", W),
        ("Which US state code?", "HI", "Hi! It is AK.", W),
        ("Which US state code?", "OK", "OK. It is TX.", W),
        ("Which US state code?", "OK", "OK", C),
        ("Which US state code?", "OK", "It is OK.", C),
        ("Which US state code?", "OK", "Ok, TX.", W),
        ("Which key?", "A", "In the key of A.", C),
        ("Which key?", "A minor", "In A minor.", C),
        ("Which key?", "A minor", "a minor", C),
        ("Which planet?", "Mars", "MARS", C),
        ("Which language?", "R", "R", C),
        ("Which language?", "R", "It is R.", C),
        ("Which language?", "R", "Are you sure? Python", W),
        ("Which language?", "Go", "Go", C),
        ("Which language?", "Go", "I'd go with Rust.", W),
        ("Which language?", "C", "C or C++", W),
        ("What is the formula of water?", "H2O", "H₂O", C),
        ("What is the formula of water?", "H2O", "h2o", C),
        ("What is the formula?", "CO", "CO2", W),
        ("What is the formula?", "CO", "CO", C),
        ("Where is the site?", "https://x.org/a?b=c", "https://x.org/a?b=c", C),
        ("Where is the site?", "https://x.org/a?b=c", "https://x.org/a?b=d", W),
        ("Where is the site?", "https://x.org/", "I cannot access https://x.org/.", N),
        ("Where is the site?", "https://x.org/", "The address is x.org, I think.", C),
        ("Where is the site?", "https://x.org/", "x.org.uk", W),
        ("Where is the site?", "https://x.org/", "mail@x.org", W),
        ("What is the site?", '["https://x.org/","X"]', "X", C),
    ],
)
def test_codes_and_sites_in_sentences(
    question: str, reference: str, answer: str, grade: Grade
) -> None:
    assert graded(question, reference, answer) == grade
