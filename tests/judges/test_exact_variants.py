"""The exact judge on other forms of a reference, in English and as other languages say it."""

from __future__ import annotations

import pytest
from test_exact import C, N, W, graded

from routebench.records import Grade
from routebench_judges.exact.spelling import may_stand, spelt

WHO = "Who designed the lighthouse?"
WHERE = "In which city was the lighthouse built?"
MANY = "How many lamps does the lighthouse have?"
YEARS = "From what year to what year was the lighthouse open?"
EPISODE = "In which season and episode is the lighthouse seen?"


@pytest.mark.parametrize(
    ("question", "reference", "answer", "grade"),
    [
        (WHO, "Rev. Anna Holm", "It was Anna Holm.", C),
        (WHO, "President Holm", "It was Otto Holm.", C),
        (WHO, "President Holm", "It was General Holm.", W),
        (WHO, "Queen Anna", "It was Anna Holm.", W),
        (WHO, 'Carl "Big Ben" Holm', "It was Carl Holm.", C),
        (WHO, "Carl Otto Holm", "It was Carl Holm.", C),
        (WHO, "Carl Otto Holm", "It was Carl O. Holm.", C),
        (WHO, "Carl Otto Holm", "It was Carl B. Holm.", W),
        (WHO, "Carl O. Holm", "It was Carl Otto Holm.", C),
        ("What is the full name of its designer?", "Carl Otto Holm", "Carl Holm", W),
        ("What did her father have?", "A mild brain fever", "He had a mild fever.", W),
        (WHO, "William Holm", "It was Bill Holm.", C),
        (WHO, "William Holm", "It was Walter Holm.", W),
        ("Which team won?", "Harbour F.C.", "Harbour FC won.", C),
        ("At what temple was it found?", "Kozanji temple", "At Kozanji.", C),
        ("At which college was it found?", "Harbour College", "At Harbour University.", W),
        ("When was it lit?", "Friday, March 3, 1911", "It was lit on 3 March 1911.", C),
        ("When was it lit?", "It was lit for the first time on 3 March 1911.", "3 March 1911", C),
        ("When was it lit?", "It was lit for the first time on 3 March 1911.", "4 March 1911", W),
        ("What year was it lit?", "March 3, 1911", "It was lit in 1911.", C),
        ("What year was it lit?", "March 3, 1911", "It was lit in 1912.", W),
        ("What date was it lit?", "March 3, 1911", "It was lit in 1911.", W),
        (WHO, "Carl Holm", 'It was Carl "Ben" Holm.', C),
        (MANY, "Three - red, green and white", "It has 3 lamps.", C),
        (MANY, "Three - red, green and white", "It has 2 lamps.", W),
        ("How deep is the lake?", "4.5 m (15 ft)", "It is 15 feet deep.", C),
        (YEARS, "1910 to 1925", "It was open from 1910 until 1925.", C),
        (YEARS, "1910–1925", "It was open 1910-25.", C),
        (YEARS, "1910 to 1925", "It was open from 1910 until 1926.", W),
        ("In which two years did it win?", "1910 and 1912", "In 1910 to 1912.", W),
        (EPISODE, "Season 3, Episode 4", "In the fourth episode of season 3.", C),
        (EPISODE, "Season 3, Episode 4", "S03E04", C),
        (EPISODE, "Season 3, Episode 4", "Season 2, episode 4.", W),
        (EPISODE, "Season 3, Episode 4", "Season 2, episode 4, not season 3.", W),
        ("What are its dimensions?", "40 x 55 cm", "It is 40 × 55 centimeters.", C),
        ("What are its dimensions?", "40 x 55 cm", "It is 55 × 40 centimeters.", W),
        (WHERE, "Harbour, Maine", "It was built in Harbour.", C),
        (WHERE, "Harbour, Maine", "It was built in Harbour, Oregon.", W),
        (WHERE, "Harbour, Maine", "It was built in Harbour in Oregon.", W),
        ("In which city and state is it?", "Harbour, Maine", "It is in Harbour.", W),
        ("What is its aperture?", "ƒ/2.4", "It is f/2.4.", C),
        ("Is it open?", "yes", "No, it is not known to be open.", W),
    ],
)
def test_forms_of_a_reference(question: str, reference: str, answer: str, grade: Grade) -> None:
    assert graded(question, reference, answer) == grade


@pytest.mark.parametrize(
    ("question", "reference", "answer", "grade"),
    [
        (WHERE, "Prague", "Praha", C),
        (WHERE, "Prague", "Brno", W),
        (WHO, "Yuri Petrovich Zhukov", "Navrhl jej Jurij Petrovič Žukov.", C),
        (WHO, "Yuri Petrovich Zhukov", "Navrhl jej Jurij Ivanovič Žukov.", W),
        (WHO, "Stella Warrington", "Stella Warringtonová", C),
        (WHO, "Louis Holmgren", "Byl navržen podle Louise Holmgrena.", C),
        (WHO, "Louis Holmgren", "Byla to Louise Holmgren, která jej navrhla.", W),
        ("What animal is on it?", "An elephant", "Je na něm vyobrazen slon.", C),
        ("What animal is on it?", "An elephant", "Je na něm vyobrazen lev a později také slon.", W),
        ("Which office did he hold?", "Minister of Finance", "Byl ministrem financí.", C),
        ("Which office did he hold?", "Minister of Finance", "Byl ministrem zahraničí.", W),
        ("At which university was it?", "Boston University", "Bylo to na Bostonské univerzitě.", C),
        (
            "At which university was it?",
            "New York University",
            "Na Columbia University v New Yorku.",
            W,
        ),
        ("What is on it?", "A head", "Je na něm hlavohruď.", W),
        ("Which sea is it at?", "Baltic Sea", "Leží u Baltského moře, které je malé.", C),
        ("Which sea is it at?", "Black Sea", "Leží u Baltského moře, které je malé.", W),
        ("In which month was it lit?", "July", "Poprvé byl rozsvícen v červenci 1911.", C),
        ("In which month was it lit?", "July", "Bylo to v červnu, ne v červenci 1911.", W),
        ("Which movement was it?", "Surrealism", "Hlásil se k surrealismu.", C),
        ("Which movement was it?", "Surrealism", "Hlásil se k futurismu.", W),
        ("What day was it lit?", "3 March 1911", "Bylo to v roce 1911, dne 3. března.", C),
        ("What day was it lit?", "3 March 1911", "Bylo to v roce 1911, dne 4. března.", W),
        (MANY, "2", "Maják má lampu, která svítila třikrát.", W),
        (MANY, "1", "Maják má jednu lampu, která svítí.", C),
        (MANY, "1", "Maják má jednu ze tří lamp rozbitou a dvě svítí.", W),
        (MANY, "none", "Maják nemá žádné lampy.", C),
        (MANY, "none", "Nemám žádné informace o lampách.", N),
        (MANY, "14", "Maják byl v roce 1911 v přístavu a měl 14 lamp.", C),
        (MANY, "44", "Ze 60 lamp jich v roce 1911 svítilo 44.", C),
        ("How much does it weigh?", "25.363", "Váží to 25,363 tuny.", C),
        ("How much does it weigh?", "25.364", "Váží to 25,363 tuny.", W),
        (YEARS, "1910 to 1925", "Maják byl otevřen od roku 1910 do roku 1925.", C),
        (EPISODE, "Season 3, Episode 4", "Je to ve 4. epizodě třetí série.", C),
        ("Is it open?", "yes", "Ne, není dostupný ani otevřený.", W),
        (WHO, "Carl Holm", "Neznámé", N),
        (WHO, "Carl Holm", "Maják nikdo nenavrhl. Jméno proto není známo.", W),
        (WHO, "Carl Holm", "Jméno jsem nenašel. Není mi známo.", N),
        (WHO, "Carl Holm", "Nedokáži určit, kdo maják navrhl, a není to veřejné.", N),
        (WHO, "Carl Holm", "Pravděpodobně jej navrhl Karel Novák.", W),
    ],
)
def test_as_other_languages_say(question: str, reference: str, answer: str, grade: Grade) -> None:
    assert graded(question, reference, answer) == grade


def test_spelling_is_bounded() -> None:
    assert spelt("holm") == "holm"  # short names are spelt one way
    assert may_stand(("zhukovsky",), "navrhl jej zukovskij")
    assert not may_stand(("zhukovsky",), "navrhl jej petrov")
