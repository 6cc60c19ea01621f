"""Numbers in many forms, workings and questions: what the final number of an answer is."""

from __future__ import annotations

import itertools

import pytest

from routebench.records import Grade
from routebench_judges.answers.units import requested_unit
from routebench_judges.numeric.judge import Numeric

C, W, N = Grade.CORRECT, Grade.INCORRECT, Grade.NOT_ATTEMPTED
JUDGE = Numeric(Numeric.Options())


def graded(question: str, reference: str, answer: str) -> Grade:
    found = JUDGE.judge(questions=[question], references=[reference], answers=[answer])
    assert found.grade is not None
    return Grade(found.grade[0])


# Units in these questions say when, how often or compared with what; none of them is asked for.
WHEN = [
    "What does she pay in the second year?",
    "What does she pay in the month of May?",
    "A tank holds as many gallons as a pool. What does she pay?",
    "How much does she spend in a week?",
    "What is the cost per hour in June?",
    "How much does he earn in an hour?",
    "How much money does she make in 3 hours?",
    "If a car goes 30 miles in an hour, how much does the gas cost?",
    "There are 12 inches in a foot. What does the rope cost?",
    "She walks for 30 minutes a day. How much does she pay?",
    "Every third day he runs 3 miles. How much does he pay?",
    "How much does it cost to fill 3 gallons?",
    "How much does she pay for 5 pounds of apples?",
    "How much does he make in the first minute?",
    "What's the price in the third month?",
    "He is as many years old as his dog. How much is the bill?",
    "How much did he spend on 10 feet of rope?",
    "How much does he save in total over many days?",
    "How many dollars does she pay per day?",
    "How many dollars will she have in 4 weeks?",
]
PAID = [
    "So she pays 6 * $7 = $42.",
    "#### $42",
    "\\boxed{\\$42}",
    "The answer is $42.",
    "42 dollars",
    "In the second year it is $42.",
]

# 7,250 as people and models write it.
THOUSANDS = ["7250", "7,250", "7{,}250", "$7{,}250", "\\$7{,}250", "7\\,250", "7\\!250", "7,\\!250",
             "7 250", "7~250", "7{,}250.00", "$7{,}250$", "\\text{7,250}", "\\mathbf{7{,}250}",
             "7\u00a0250", "7{\\,}250"]  # fmt: skip
PLACES = ["{}", "The answer is {}.", "#### {}", "Answer: {}", "So it costs {} in all.",
          "\\boxed{{{}}}", "**{}**", "It is 7000 + 250 = {}.", "Final answer: {}", "Total: {}",
          "<think>12</think>{}", "First 12, then 30.\n\nSo the total is {}."]  # fmt: skip

# Words of doubt and ordinals in the working, and then the number.
DOUBT = [
    "We don't know the total T yet.\nT = 20 * 4 = 80 students\n\nSo there are 80 students.",
    "A quarter of the students do not have a computer. So 20 * 4 = 80 students.",
    "We cannot determine this directly, so set up an equation. 4x = 320, x = 80.",
    "It is unknown at first. There are 80 students.",
    "We are not sure how many boys there are, but the total is 80.",
    "It is not clear at first how many. Let x be the unknown. x = 80.",
    "The unknown number is 80.",
    "x is unknown; solving, x = 80",
    "I am not certain, but the answer is 80",
    "Some do not have a pet, so 80 do.",
    "The number of boys is not given directly. There are 20*4=80.",
    "We can't find it directly. 20 + 60 = 80.",
    "They can't find 20 of them. 100 - 20 = 80 students.",
    "Nobody knows him. There are 80 students.",
    "First, 20 in the 2nd class. Third, 60. Total: 80",
    "In the 1st grade 20, 2nd grade 20, 3rd grade 40. So 80 in total.",
    "There are 80 students in the third grade.",
    "In the second step we get 80.",
    "80 students, the third largest class",
    "On the fifth day there are 80 students.",
    "Step 3: 20 * 4 = 80",
    "After the first hour, 80 are left.",
    "So 80 students remain on the 4th day.",
    "In total 80 students (first and second class).",
    "Sorry for the confusion. The total is 80.",
    "I apologize for the earlier mistake: 4 * 20 = 80.",
    "The other information is unavailable but not needed: 4*20 = 80",
    "Each of the 4 unidentified groups has 20. 4 x 20 = 80",
]
DECLINED = [
    "I don't know.",
    "I cannot determine the number of students.",
    "I'm sorry, I can't help with that.",
    "There is not enough information to tell how many of the 100 students came.",
    "I don't know how the 80 are counted.",
    "It is impossible to say; the question gives 80 only.",
    "Sorry, I cannot say how many of the 80 came.",
    "As an AI, I cannot count the 80 students.",
    "We cannot determine it: only 80 is given.",
    "The answer is unknown.",
    "<think>80</think>",
    "<think>80",
]
UNITS = [
    ("How long is it in meters?", "m"),
    ("How many minutes does it take?", "min"),
    ("How many more hours are needed?", "h"),
    ("How many feet of rope are left?", "ft"),
    ("What is the distance in km?", "km"),
    ("What is the number of days?", "day"),
    ("He has 3 dogs. How many pounds do they weigh?", "lb"),
    ("How many hours per day does he work?", None),
    ("How many second graders are there?", None),
    ("How many minute details are there?", None),
    ("What is the total in the last hour?", None),
    ("How many students are in the second row?", None),
    ("How much is it in the first week?", None),
]

# The number that is asked for, and others beside it in the last sentence.
BESIDE = [
    ("She gets $12 an hour. How much does she earn for 50 minutes?", "10",
     "She earns $10 for 50 minutes of work."),
    ("He drives for 4 hours. How far is he from home after those 4 hours?", "45",
     "He is 45 miles from home after 4 hours."),
    ("How many clips did she sell in both months?", "72",
     "Therefore, she sold 48 + 24 = 72 clips in 2 months."),
    ("How many eggs does each of the 3 children get?", "5",
     "Each child gets 5 eggs, which is fair for all 3 children."),
    ("What is the total cost of 4 shirts?", "80", "So $80 is the cost of the 4 shirts."),
    ("How old will Kay be in 10 years?", "28", "Kay will be 28 years old in 10 years."),
    ("Tom has 42 apples, gives away 18 and gets 18. How many apples are left?", "42",
     "After giving away 18, he has 42 apples."),
    ("How many apples are left?", "42", "He has 42 apples left of 60"),
    ("How many pages does he read in 7 days?", "140", "He reads 20*7=140 pages in 7 days."),
    ("How much change does he get from $20?", "5",
     "He gets $20 - $15 = $5 change from the $20."),
    ("How many hours does it take?", "3", "It takes 180/60=3 hours to read 120 pages."),
    ("How many minutes does it take?", "30", "It takes 30 minutes at 2 miles per hour."),
    ("What percent of the class is absent?", "20", "20% of the 50 students are absent."),
    ("How many students are absent?", "10", "10 students, or 20% of the class, are absent."),
]  # fmt: skip

CASES = [
    *((*beside, C) for beside in BESIDE),
    *((question, "42", answer, C) for question, answer in itertools.product(WHEN, PAID)),
    *((question, "41", answer, W) for question, answer in itertools.product(WHEN, PAID[:3])),
    *(
        ("How much does it cost?", "7250", place.format(number), C)
        for number, place in itertools.product(THOUSANDS, PLACES)
    ),
    *(
        ("How much does it cost?", "725", place.format(number), W)
        for number, place in itertools.product(THOUSANDS, PLACES[:6])
    ),
    *(("How many students?", "80", answer, C) for answer in DOUBT),
    *(("How many students?", "79", answer, W) for answer in DOUBT),
    *(("How many students?", "80", answer, N) for answer in DECLINED),
    *(("What is it?", "1234567", answer, C) for answer in ("1{,}234{,}567", "1\\,234\\,567")),
    *(("How long is it in meters?", "500", answer, W) for answer in ("500 km", "500 miles")),
    *(("How many minutes?", "90", answer, W) for answer in ("90 hours", "90 seconds")),
    *(("How many minutes?", "90", answer, C) for answer in ("90 minutes", "1.5 hours = 90 min")),
    *(("How many?", n, "42 or 43", W) for n in ("42", "43")),
]


def test_there_are_many_cases() -> None:
    assert len(CASES) > 500
    assert len(set(CASES)) == len(CASES)


def test_every_case() -> None:
    wrong = [(*case, found.name) for case in CASES if (found := graded(*case[:3])) != case[3]]
    assert not wrong


@pytest.mark.parametrize(("question", "unit"), UNITS)
def test_the_wanted_unit(question: str, unit: str | None) -> None:
    assert requested_unit(question.lower()) == unit
