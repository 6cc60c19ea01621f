"""The exact judge on answers that are in another language than question and reference."""

from __future__ import annotations

import pytest
from test_exact import C, N, W, graded, judge

from routebench.records import Grade, State
from routebench_judges.exact.inflection import forms, same_person
from routebench_judges.exact.languages import language

WHERE = "In which city was the observatory built?"
COUNTRY = "In which country was the observatory built?"
WHO = "Who designed the observatory?"
MANY = "How many windows does the observatory have?"
WHEN = "In what year was the observatory opened?"
DAY = "On what day, month and year was the observatory opened?"
CALLED = "What is the observatory called?"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The observatory was built in Oxford.", "en"),
        ("Hvězdárna byla postavena v Oxfordu.", "cs"),
        ("Hvezdáreň bola postavená v Oxforde, ktorá je známa.", "sk"),
        ("Obserwatorium zostało zbudowane w Krakowie i jest znane.", "pl"),
        ("Die Sternwarte wurde in Bonn gebaut.", "de"),
        ("De sterrenwacht werd in Leiden gebouwd en het is oud.", "nl"),
        ("Observatoriet är byggt i Lund och det är gammalt.", "sv"),
        ("El observatorio fue construido en Toledo.", "es"),
        ("O observatório foi construído em Coimbra.", "pt"),
        ("L'osservatorio fu costruito nella città di Torino.", "it"),
        ("L'observatoire est dans la ville de Lyon.", "fr"),
        ("Обсерватория была построена в Пулкове.", "ru"),
        ("Oxford", None),
        ("Los Angeles", None),
        ("", None),
        ("1912", None),
    ],
)
def test_the_language_of_an_answer(text: str, code: str | None) -> None:
    assert language(text) == code
    assert language(f"\n\n> **{text}**\n") == code


@pytest.mark.parametrize(
    ("question", "reference", "answer", "grade"),
    [
        (WHERE, "Oxford", "Byla postavena v Oxfordu.", C),
        (WHERE, "Oxford", "Hvězdárna, která je pod Oxfordem, je stará.", C),
        (WHERE, "Toronto", "Byla postavena v Torontu.", C),
        (WHERE, "Riga", "Hvězdárna se nachází v Rize.", C),
        (WHERE, "Kaunas", "Hvězdárna je v Kaunasu (Litva).", C),
        (WHERE, "Leeds", "Obserwatorium jest w Leedsie i jest stare.", C),
        (WHERE, "Toledo", "Obserwatorium jest w Toledzie, a nie w Rzymie.", W),
        (WHERE, "Boston", "Obserwatorium zostało zbudowane w mieście Bostonu i jest stare.", C),
        (WHERE, "Oxford", "Byla postavena v Oxbow.", W),
        (WHERE, "Oxford", "Byla postavena v Oxfordshiru.", W),
        (WHERE, "Oxford", "Nebyl to Oxford, ale Cambridge.", W),
        (WHERE, "Cambridge", "Nebyl to Oxford, ale Cambridge.", C),
        (WHERE, "Oxford", "Bylo to v Oxfordu nebo v Cambridge.", W),
        (WHERE, "Oxford", "Das war nicht Oxford, sondern Cambridge.", W),
        (WHERE, "Oxford", "No fue Oxford, sino Cambridge.", W),
        (WHERE, "Oxford", "Ce n'est pas Oxford mais Cambridge.", W),
        (WHERE, "Oxford", "Não foi Oxford, mas Cambridge.", W),
        (WHERE, "Oxford", "Non è Oxford, ma Cambridge.", W),
        (WHERE, "Oxford", "To nie jest Oxford, ale Cambridge.", W),
        (WHERE, "Oxford", "Es steht in Oxford oder Cambridge und ist alt.", W),
        (WHERE, "Oxford", "Está en Oxford o en Cambridge, por lo que se sabe.", W),
        (WHERE, "Bath", "Hvězdárna se nachází ve městě Bathory.", W),
        (WHERE, "Ur", "Hvězdárna se nachází ve městě Uru.", W),
    ],
)
def test_places_in_their_cases(question: str, reference: str, answer: str, grade: Grade) -> None:
    assert graded(question, reference, answer) == grade


@pytest.mark.parametrize(
    ("reference", "answer", "grade"),
    [
        ("Cyprus", "Hvězdárna stojí na Kypru, je to ostrov.", C),
        ("Japan", "Byla postavena v Japonsku.", C),
        ("Netherlands", "Je to v Nizozemsku.", C),
        ("United States", "Byla postavena ve Spojených státech.", C),
        ("Germany", "Zostało zbudowane w Niemczech i jest stare.", W),
        ("Hungary", "Obserwatorium jest na terenie kraju Węgry i jest stare.", C),
        ("Germany", "Está en Alemania, en el sur.", C),
        ("Netherlands", "Se encuentra en los Países Bajos.", C),
        ("Switzerland", "Die Sternwarte steht in der Schweiz.", C),
        ("Austria", "L'observatoire se trouve en Autriche, dans le sud.", C),
        ("Sweden", "O observatório fica na Suécia, no norte da Europa.", C),
        ("Germany", "L'osservatorio si trova in Germania.", C),
        ("Japan", "Обсерватория была построена в Японии.", C),
        ("Czech Republic", "Die Sternwarte ist in Tschechien gebaut worden.", C),
        ("Ireland", "Hvězdárna se nachází v Severním Irsku.", W),
        ("Austria", "Hvězdárna se nachází v Austrálii.", W),
        ("Niger", "Hvězdárna se nachází v Nigérii.", W),
        ("Niger", "Hvězdárna se nachází ve státě Nigérie.", W),
        ("Slovenia", "Hvězdárna se nachází na Slovensku.", W),
        ("Iran", "Hvězdárna se nachází v Iráku.", W),
        ("Tunisia", "Hvězdárna se nachází nedaleko Tuniska, v Libyi.", W),
        ("Cyprus", "Není to na Kypru, ale na Krétě.", W),
        ("Cyprus", "Je to na Kypru nebo na Krétě.", W),
    ],
)
def test_countries_as_a_language_calls_them(reference: str, answer: str, grade: Grade) -> None:
    assert graded(COUNTRY, reference, answer) == grade


@pytest.mark.parametrize(
    ("reference", "answer", "grade"),
    [
        ("Ryan Scott", "Navrhl ji spolu s Ryanem Scottem v roce 1901.", C),
        ("Robert Hooke", "Návrh je dílem Roberta Hooka, který byl fyzik.", C),
        ("Edith Turner", "Navrhla ji Edith Turnerová, která byla z Anglie.", C),
        ("Edith Turner", "Byla to práce Edith Turnerové.", C),
        ("Barack Obama", "Plán byl od Baracka Obamy.", C),
        ("Adam Nowak", "Plan jest dziełem Adama Nowaka i jest znany.", C),
        ("Martin Hus", "Byla to Martina Husová.", W),
        ("Martin Hus", "Byla to Martina Hus, je známá.", W),
        ("Martin Bohus", "Byl to návrh Martina Bohusa.", C),
        ("Ivan", "Byla to Ivana, která je známá.", W),
        ("Ivan", "Byl to Ivan, který je známý.", C),
        ("Martin Bohus", "Byl to Martin Bohusu, který je známý.", W),
        ("Emil Kolar", "Byla to Emily Kolar, která je známá.", W),
        ("Robert Stephen", "Die Sternwarte wurde von Robert Stephens entworfen.", W),
        ("Julio Marin", "El observatorio es de Julia Marin.", W),
        ("Marie Curie", "Byl to Pierre Curie, jak je známo.", W),
        ("Marie Curie", "Byli to Marie a Pierre Curie.", W),
        ("Adam Nowak", "Nie był to Adam Nowak, ale Jan Kos.", W),
        ("Adam Nowak", "Byl to Adam Nowak nebo Jan Kos.", W),
        ("Alexei Borisov", "Navrhl ji Alexej Borisov, který je známý.", C),
        ("Kiyoshi Tanaka", "Navrhl ji Kijoši Tanaka, který je známý.", C),
        ("Alexei Borisov", "Navrhl ji Alexandr Borisov, který je známý.", W),
        ("Jan Novak", "Navrhl ji Ian Novak, který je známý.", W),
        ("Captain Anna Reed", "Byla to kapitánka Anna Reed z Anglie.", C),
        ("President Reed", "Es war der Präsident Otto Reed, der das Amt hatte.", C),
        ("President Reed", "Fue el general Otto Reed, que no era del sur.", W),
    ],
)
def test_people_in_their_cases(reference: str, answer: str, grade: Grade) -> None:
    assert graded(WHO, reference, answer) == grade


@pytest.mark.parametrize(
    ("reference", "answer", "grade"),
    [
        ("University of Oxford", "Je to Oxfordská univerzita.", C),
        ("University of Oxford", "Byla to univerzita v Oxfordu.", C),
        ("University of Naples", "Je to univerzita v Neapoli.", C),
        ("University of Bonn", "Es ist die Universität Bonn.", C),
        ("University of Salamanca", "Es la Universidad de Salamanca.", C),
        ("University of Bologna", "È l'Università di Bologna, che è nota.", C),
        ("University of Coimbra", "É a Universidade de Coimbra.", C),
        ("Walhon River", "Je to řeka Walhon.", C),
        ("Kottor district", "C'est le district de Kottor, dans le sud.", C),
        ("New York University", "Je to Kolumbijská univerzita v New Yorku.", W),
        ("University of Bonn", "Es ist die Technische Universität Bonn.", W),
        ("University of Oxford", "Je to muzeum v Oxfordu.", W),
        ("University of Oxford", "Je to univerzita v Cambridge.", W),
        ("Kottor district", "Je to okres Kotto.", W),
    ],
)
def test_names_beside_a_translated_noun(reference: str, answer: str, grade: Grade) -> None:
    assert graded(CALLED, reference, answer) == grade


@pytest.mark.parametrize(
    ("question", "reference", "answer", "grade"),
    [
        (MANY, "3", "Hvězdárna má tři okna, jak je známo.", C),
        (MANY, "12", "Sie hat zwölf Fenster und ist alt.", C),
        (MANY, "5", "El observatorio tiene cinco ventanas en la torre.", C),
        (MANY, "7", "O observatório tem sete janelas em torre.", C),
        (MANY, "4", "L'osservatorio ha quattro finestre, che si aprono.", C),
        (MANY, "6", "L'observatoire a six fenêtres dans la tour.", C),
        (MANY, "8", "Obserwatorium ma osiem okien i jest stare.", C),
        (MANY, "9", "В обсерватории девять окон, и она стара.", C),
        (MANY, "3", "Hvězdárna má třináct oken, jak je známo.", W),
        (MANY, "3", "Hvězdárna má tři nebo čtyři okna.", W),
        (MANY, "34", "V roce 1873 měla 34 oken, jak je známo.", C),
        (
            "How many years did it stand?",
            "14 years",
            "Stála od roku 1901 do roku 1915, tj. 14 let.",
            C,
        ),
        ("How high is it?", "20 million dollars", "Stála 20 milionů dolarů, je to známo.", C),
        ("What is its area?", "12 km2", "Má 12 kilometrů čtverečních, jak je známo.", C),
        ("What is its area?", "12 km2", "Tiene 12 kilómetros cuadrados, lo que es mucho.", C),
        ("How high is it?", "12 feet", "Je vysoká 12 stop, jak se uvádí.", C),
        ("How high is it?", "12 feet", "Je vysoká 12 metrů, jak se uvádí.", W),
        ("Which floor is it on?", "6th", "Je v 6. patře, které je nové.", C),
        ("Which floor is it on?", "6th", "Je v 16. patře, které je nové.", W),
        ("Is it open?", "yes", "Ano, je to tak.", C),
        ("Is it open?", "yes", "Ne, není to tak.", W),
        ("Is it open?", "no", "Nein, das ist nicht so.", C),
        (WHEN, "1998", "Byla otevřena v roce 1998.", C),
        (WHEN, "1998", "Byla otevřena v roce 1989.", W),
        (WHEN, "1998", "Nebylo to v roce 1998, ale v roce 1989.", W),
        (DAY, "3 May 1998", "Byla otevřena 3. května roku 1998.", C),
        (DAY, "3 May 1998", "Hvezdáreň bola otvorená 3. mája 1998.", C),
        (DAY, "3 August 1998", "Observatoriet är från den 3 augusti 1998.", C),
        (DAY, "3 May 1998", "Byla otevřena 5. března roku 1998.", W),
        ("What are the twins called?", "Adam and Peter", "Jsou to Peter a Adam, je to známo.", W),
        (
            "What are the twins called?",
            "Adam and Peter",
            "Jmenují se Adam a Peter, je to známo.",
            C,
        ),
    ],
)
def test_values_in_words(question: str, reference: str, answer: str, grade: Grade) -> None:
    assert graded(question, reference, answer) == grade


@pytest.mark.parametrize(
    ("question", "reference", "answer", "grade"),
    [
        (WHERE, "Oxford", "Bohužel mi chybí konkrétní informace o této stavbě.", N),
        (WHERE, "Oxford", "Přesné místo se mi nepodařilo dohledat.", N),
        (WHERE, "Oxford", "Nemohu s jistotou říct, kde stála.", N),
        (WHERE, "Oxford", "Der Ort ist in den Quellen leider nicht bekannt.", N),
        (WHERE, "Oxford", "Le lieu n'est pas connu et il me manque des sources.", N),
        (WHERE, "Oxford", "El lugar no está documentado en la red.", N),
        (WHERE, "Oxford", "O lugar não foi documentado em fontes.", N),
        (WHERE, "Oxford", "Il luogo non è documentato e non si sa.", N),
        (WHERE, "Oxford", "Miejsce nie jest znane i nie udało mi się go ustalić.", N),
        (WHEN, "1998", "Byla otevřena v roce 1989. Přesné záznamy ale nemám k dispozici.", W),
        (WHEN, "1998", "Byla otevřena v roce 1998. Přesné záznamy ale nemám k dispozici.", C),
        (WHERE, "Oxford", "Oxford, ale nejsem si jistý, je to dávno.", C),
        (
            "How many rooms opened in season 2?",
            "2",
            "Přesný počet místností z druhé sezóny mi není znám.",
            N,
        ),
    ],
)
def test_refusals_and_doubts(question: str, reference: str, answer: str, grade: Grade) -> None:
    assert graded(question, reference, answer) == grade


@pytest.mark.parametrize(
    ("question", "reference", "answer"),
    [
        (WHERE, "Oxford", "Byla postavena v Oxfordu."),
        (COUNTRY, "Cyprus", "Hvězdárna stojí na Kypru, je to ostrov."),
        (WHO, "Ryan Scott", "Navrhl ji spolu s Ryanem Scottem v roce 1901."),
        (CALLED, "University of Bonn", "Es ist die Universität Bonn."),
        (MANY, "3", "Hvězdárna má tři okna, jak je známo."),
    ],
)
def test_wrapping_changes_nothing(question: str, reference: str, answer: str) -> None:
    for text in (
        f"<think>Není to Praha nebo Brno?</think>\n{answer}",
        f"\n\n{answer}\n\n",
        f"> {answer}",
        answer.replace(" ", "\n", 1),
    ):
        assert graded(question, reference, text) == C


def test_without_the_name_an_answer_is_never_right() -> None:
    for answer, gone in (
        ("Byla postavena v Oxfordu.", "Oxfordu"),
        ("Je to Oxfordská univerzita.", "Oxfordská"),
    ):
        for reference in ("Oxford", "University of Oxford"):
            assert graded(WHERE, reference, answer.replace(gone, "")) != C


def test_english_answers_are_compared_as_they_are() -> None:
    assert graded(WHERE, "Oxford", "It was built in Oxfordu.") == W
    assert graded(COUNTRY, "Cyprus", "It was built in Kypr.") == W
    assert graded(MANY, "3", "It has tři windows and a door.") == W


@pytest.mark.parametrize(
    ("question", "reference", "answer", "state"),
    [
        (WHO, "Ryan Scott", "Её построил Райан Скотт, и это известный архитектор.", State.UNGRADED),
        (CALLED, "Blue Tower", "青い塔と呼ばれています。", State.UNGRADED),
        (WHO, "Ryan Scott", "Её построил Ryan Scott, и это известный архитектор.", State.OK),
        (WHO, "Ryan Scott", "Я не знаю, кто её построил.", State.OK),
        (COUNTRY, "Japan", "Она была построена в Италии.", State.OK),
        (MANY, "9", "В обсерватории было пять окон.", State.OK),
        (WHO, "Ryan Scott", "Navrhl ji Jan Kos, který je známý.", State.OK),
    ],
)
def test_a_name_in_another_script_cannot_be_compared(
    question: str, reference: str, answer: str, state: State
) -> None:
    found = judge(question, reference, answer)
    assert found.state[0] == state
    if state == State.UNGRADED:
        assert found.note is not None
        assert found.note[0] == "the answer is in another script than the reference"


def test_forms_of_a_name() -> None:
    assert same_person(("martin", "hus"), ("martina", "husa"))
    assert not same_person(("martin", "hus"), ("martina", "husova"))
    assert not same_person(("martin",), ("martina",))
    assert forms("ur", "cs") == "ur"
    assert forms("1998", "cs") == "1998"
    assert forms("oxford", "es") == "oxford"


def test_long_texts_take_linear_time() -> None:
    text = "Hvězdárna je v Brně a byla postavena z kamene. " * 2500
    assert graded(WHERE, "Oxford", f"{text} Byla v Oxfordu.") == C
    assert graded(MANY, "7", text) == W
