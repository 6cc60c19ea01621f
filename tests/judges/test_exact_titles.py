"""The exact judge on titles and lists: `and`, `or` and `No.` that offer no second answer."""

from __future__ import annotations

import pytest
from test_exact import C, W, graded

from routebench.records import Grade

WROTE = "Who wrote it?"
PLAY = "What is the play?"
CALLED = "What is it?"
COLORS = "Which colors?"
PRIZE = "Who was the sole winner of the 1903 Nobel Prize in Physiology or Medicine?"
COMPOSED = "Who composed it?"
FILM = "Which film?"
BAND = "Which band?"
ELEMENT = "What element?"


@pytest.mark.parametrize(
    ("question", "reference", "answer", "grade"),
    [
        ("Who composed the opera?", "Gershwin", "Gershwin composed Porgy and Bess.", C),
        (WROTE, "Tolstoy", "Tolstoy wrote War and Peace.", C),
        (WROTE, "Austen", "Pride and Prejudice: Austen", C),
        (WROTE, "Austen", "Austen penned Sense and Sensibility", C),
        (WROTE, "Austen", "Sense and Sensibility, Austen", C),
        (WROTE, "Austen", "Austen and Bronte", W),
        (WROTE, "Austen", "Bronte and Austen", W),
        (WROTE, "Austen", "Answer: Austen and Bronte", W),
        (WROTE, "Austen", "Maybe Austen and Bronte.", W),
        (WROTE, "Austen", "Austen & Bronte", W),
        (WROTE, "Austen", "Austen, Bronte and Eliot", W),
        (WROTE, "Austen", "Bronte, Austen and Eliot", W),
        (WROTE, "Austen", "Both Austen and Bronte", W),
        ("Who directed it?", "Lean", "Lean directed Brief Encounter and Oliver Twist", C),
        ("Who directed it?", "Lean", "Brief Encounter and Oliver Twist came from Lean", C),
        (PLAY, "Romeo and Juliet", "Answer: Romeo and Juliet", C),
        ("Which house?", "Saxe-Coburg and Gotha", "Answer: Saxe-Coburg and Gotha", C),
        ("Who?", "Matt and Marcus", "Answer: Matt and Marcus", C),
        ("When?", "1622 and 1623", "Final answer: 1622 and 1623", C),
        ("When did it happen?", "27 and 28 November 1994", "Answer: 27 and 28 November 1994", C),
        ("Which episode?", "And a Child Shall Lead", "And a Child Shall Lead", C),
        ("What did he fight?", "A crab and Heracles", "A crab and Heracles", C),
        (PLAY, "Romeo and Juliet", "**Romeo and Juliet**.", C),
        (PLAY, "Romeo and Juliet", "Romeo and Juliet and Hamlet", W),
        (PLAY, "Romeo and Juliet", "Hamlet and Romeo and Juliet", W),
        (PLAY, "Romeo and Juliet", "Romeo & Juliet", C),
        (PLAY, "Romeo & Juliet", "Romeo and Juliet", C),
        ("Who?", "Matt and Marcus", "Matt", W),
        (CALLED, "Trinidad and Tobago", "It is Trinidad and Tobago.", C),
        (CALLED, "Trinidad and Tobago", "Tobago", W),
        (CALLED, "Trick or Treat", "Trick or Treat", C),
        (CALLED, "Trick or Treat", "Answer: Trick or Treat", C),
        ("Which duo?", "Simon and Garfunkel", "Simon & Garfunkel", C),
        ("Which duo?", "Simon & Garfunkel", "Simon and Garfunkel sang it.", C),
        ("Which duo?", "Simon and Garfunkel", "Paul Simon and Art Garfunkel", W),
        (COLORS, "red and white", "Red and white.", C),
        (COLORS, "red and white", "Red, white and blue", W),
        (COLORS, "red", "red and blue", W),
        (COLORS, "red and white", "red and blue", W),
        ("Which city?", "Paris", "Paris and nowhere else.", W),
        ("Where?", "Bosnia and Herzegovina", "Bosnia and Herzegovina", C),
        ("Where?", "Bosnia and Herzegovina", "Bosnia", W),
        ("Where?", "Herzegovina", "Bosnia and Herzegovina", W),
        ("Which firm?", "Marks & Spencer", "Answer: Marks and Spencer.", C),
        ("Which company?", "AT&T", "AT&T and Verizon", W),
        ("Which company?", "AT&T", "AT&T", C),
    ],
)
def test_and(question: str, reference: str, answer: str, grade: Grade) -> None:
    assert graded(question, reference, answer) == grade


@pytest.mark.parametrize(
    ("question", "reference", "answer", "grade"),
    [
        (
            PRIZE,
            "Finsen",
            "The sole winner of the 1903 Nobel Prize in Physiology or Medicine was Finsen.",
            C,
        ),
        (PRIZE, "Finsen", "In Physiology or Medicine, Finsen won in 1903.", C),
        (PRIZE, "Finsen", "The winner was Koch or Finsen.", W),
        (PRIZE, "Finsen", "Koch or perhaps Finsen", W),
        (PRIZE, "Finsen", "Koch, or it was Finsen", W),
        ("Was it Paris or London?", "Paris", "Paris or London", W),
        ("Who wrote Pride or Fall?", "Smith", "The author of Pride or Fall is Smith.", C),
        (
            "Who won the 1903 Nobel Prize in Physiology or Medicine?",
            "Finsen",
            "Finsen or Koch won in Physiology or Medicine",
            W,
        ),
        (
            "Who wrote Moby-Dick; or, The Whale?",
            "Melville",
            "Moby-Dick; or, The Whale was written by Melville.",
            C,
        ),
        (
            "Who wrote Candide, or Optimism?",
            "Voltaire",
            "Candide, or Optimism was written by Voltaire.",
            C,
        ),
        ("Who wrote Candide, or Optimism?", "Voltaire", "Diderot or Voltaire", W),
        (
            "Who wrote Twelfth Night, or What You Will?",
            "Shakespeare",
            "Twelfth Night or What You Will: Shakespeare",
            C,
        ),
        ("Which book?", "Candide, or Optimism", "Candide, or Optimism", C),
        ("Who is it, Bob or Al?", "Bob", "Bob", C),
        ("Who is it, Bob or Al?", "Bob", "It is Al.", W),
    ],
)
def test_or(question: str, reference: str, answer: str, grade: Grade) -> None:
    assert graded(question, reference, answer) == grade


@pytest.mark.parametrize(
    ("question", "reference", "answer", "grade"),
    [
        (
            "Who created the picture?",
            "Marcel Duchamp",
            "Marcel Duchamp created the picture Nude Descending a Staircase, No. 2.",
            C,
        ),
        (
            "Who played James Bond in Dr. No?",
            "Sean Connery",
            "Sean Connery played James Bond in Dr. No. It was released in 1962.",
            C,
        ),
        (COMPOSED, "Chopin", "Chopin composed the Prelude, No. 4, in 1839.", C),
        (COMPOSED, "Chopin", "Chopin. No. Liszt.", W),
        (COMPOSED, "Chopin", "Chopin. No, Liszt.", W),
        (COMPOSED, "Liszt", "Chopin. No, Liszt.", W),
        ("Who won?", "Sean Connery", "Sean Connery. No. George Lazenby.", W),
        (FILM, "Dr. No", "It is Dr. No. It came out in 1962.", C),
        (FILM, "Dr. No", "Dr. No", C),
        ("How many?", "5", "5. No. 6.", W),
        ("Which musical?", "No, No, Nanette", "It is: No, No, Nanette.", C),
        (
            "Who wrote No, No, Nanette?",
            "Youmans",
            "The author of the musical, No, No, Nanette: Youmans",
            C,
        ),
        ("What number?", "5", "Chanel, No. 5", C),
        (FILM, "Sorry, Wrong Number", "The film is Sorry, Wrong Number.", C),
        ("Who played Dr. No?", "Wiseman", "Dr. No was played by Wiseman.", C),
        ("Who played Dr. No?", "Wiseman", "Dr. No. Wiseman played him.", C),
        ("Which concerto?", "Piano Concerto No. 2", "Piano Concerto, No. 2.", C),
        ("Which song is it?", "Mambo No. 5", "Mambo No. 5. It is by Lou Bega.", C),
        ("Which song is it?", "Mambo No. 5", "Mambo No. 6, no, Mambo No. 5", W),
        ("What rank?", "2", "Rank No. 2", C),
        ("What rank?", "2", "No. 3", W),
        ("What year?", "1912", "1912, no. 1913", W),
    ],
)
def test_no_in_a_title_is_no_correction(
    question: str, reference: str, answer: str, grade: Grade
) -> None:
    assert graded(question, reference, answer) == grade


@pytest.mark.parametrize(
    ("question", "reference", "answer", "grade"),
    [
        ("Which painting?", "The Night Watch", "The Night Watch, No. 2 in the catalogue", C),
        ("Which symphony?", "Symphony No. 5", "It is his Symphony No. 5.", C),
        ("Which symphony?", "Symphony No. 5", "Symphony No. 6", W),
        ("Which symphony?", "Symphony No. 5", "Symphony #5", W),
        (FILM, "Never Say Never Again", "Never Say Never Again", C),
        (FILM, "Never Say Never Again", "It was Never Say Never Again.", C),
        (
            "Who starred in Never Say Never Again?",
            "Sean Connery",
            "Never Say Never Again starred Sean Connery.",
            C,
        ),
        ("Which song?", "I Don't Know", "The song is I Don't Know.", C),
        ("Who sang I Don't Know?", "Ozzy Osbourne", "I Don't Know was sung by Ozzy Osbourne.", C),
        (
            "Who sang I Don't Know How to Love Him?",
            "Yvonne Elliman",
            "I Don't Know How to Love Him was sung by Helen Reddy.",
            W,
        ),
        (FILM, "Not Without My Daughter", "Not Without My Daughter", C),
        (
            "Who wrote Not Without My Daughter?",
            "Mahmoody",
            "Not Without My Daughter was written by Mahmoody.",
            C,
        ),
        ("Which book?", "To Be or Not to Be", "To Be or Not to Be", C),
        (FILM, "Nowhere", "Nowhere", C),
        (FILM, "Clue", "Clue", C),
        ("Which show?", "Either/Or", "Either/Or", C),
        ("Who wrote Either/Or?", "Kierkegaard", "Either/Or was written by Kierkegaard.", C),
        (BAND, "The Who", "The Who", C),
        (BAND, "Yes", "It was Yes.", C),
        ("What is the stage name?", "Maybe", "Maybe", C),
        ("What is the word?", "Sorry", "Sorry", C),
        ("Which song by Bieber?", "Sorry", "Sorry", C),
        (BAND, "AC/DC", "AC/DC", C),
        (BAND, "AC/DC", "It was AC/DC or Kiss.", W),
        ("What is the postal code?", "10115", "10115 Berlin", C),
        ("What is the flight?", "BA 117", "It was BA117.", W),
        ("Which vitamin?", "Vitamin B12", "vitamin B12", C),
        (ELEMENT, "Tin", "Tin", C),
        (ELEMENT, "Tin", "tin", C),
        (ELEMENT, "Tin", "It is tin.", C),
        (ELEMENT, "Tin", "It's made of tin, not lead.", C),
        ("Which animal?", "Cat", "It was a cat.", C),
        ("Which animal?", "Ox", "The ox.", C),
        ("What color?", "Red", "It is red.", C),
        ("What color?", "Red", "The colour is red, as in blood.", C),
        ("What does it use?", "Gas", "It uses gas.", C),
        ("Which organ?", "Eye", "The answer is the eye.", C),
    ],
)
def test_titles_and_things(question: str, reference: str, answer: str, grade: Grade) -> None:
    assert graded(question, reference, answer) == grade


@pytest.mark.parametrize(
    ("answer", "grade"),
    [
        ("The match between Bob and Alice was long.", W),
        ("In the match between Bob and Alice, Bob won.", C),
        ("The winner of the set was Bob, Alice's rival.", C),
        ("Bob won against Alice.", C),
        ("Alice won, Bob lost.", W),
    ],
)
def test_two_names_of_the_question_only_repeated(answer: str, grade: Grade) -> None:
    assert graded("Who won the match between Bob and Alice?", "Bob", answer) == grade


@pytest.mark.parametrize(
    ("question", "reference", "answer", "grade"),
    [
        ("What did the sign say?", "No Entry", "No Entry", C),
        ("Who said it?", "Nobody", "Nobody.", C),
        ("Who said it?", "Nobody", "Nobody knows.", C),
        ("Who co-wrote it with Bob?", "Al", "Bob and Al wrote it.", C),
        ("Who founded Ben & Jerry's?", "Ben Cohen", "Ben & Jerry's was founded by Ben Cohen.", C),
        (
            "Who founded Procter & Gamble?",
            "William Procter",
            "Procter & Gamble was founded by William Procter and James Gamble.",
            C,
        ),
        ("Which show?", "Tom and Jerry", "Tom & Jerry", C),
        ("Which show?", "Tom & Jerry", "tom and jerry", C),
        (
            "Which film?",
            "Dr. Strangelove or: How I Learned",
            "Dr. Strangelove or: How I Learned",
            C,
        ),
        ("What is the capital of France?", "Paris", "I do not know; Paris, maybe?", C),
        (
            "What is the capital of France?",
            "Paris",
            "It isn't something I'm sure about, but Paris.",
            C,
        ),
        ("What is the capital of France?", "Paris", "Nobody knows for sure, but Paris.", C),
    ],
)
def test_names_joined(question: str, reference: str, answer: str, grade: Grade) -> None:
    assert graded(question, reference, answer) == grade
