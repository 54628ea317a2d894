"""The text that the demo model learns: short questions with one right answer each, all made by rule or from a table.

It stands apart from the training so that the tests can ask for the right answers without training anything.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fact:
    """A question and its only right answer."""

    prompt: str
    answer: str


_CONVERSATION = {
    "Hello": "Hello! How can I help you?",
    "Hello, how are you?": "I am fine, thank you.",
    "Who are you?": "I am a small demo model.",
    "Thank you": "You are welcome.",
    "Goodbye": "Goodbye!",
    "What is machine learning?": "Machine learning means learning from examples.",
    "Explain what a neural network is.": "A neural network is a function with many weights.",
    "Explain the difference between a stack and a queue.": "A stack is last in, first out; a queue is first in, "
    "first out.",
    "Explain the concept of recursion.": "A function that calls itself is recursive.",
    "Count from 1 to 5.": "1, 2, 3, 4, 5",
    "Count down from 5.": "5, 4, 3, 2, 1",
}

_PYTHON = {
    "def fibonacci(n):": "    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)",
    "def factorial(n):": "    return 1 if n < 2 else n * factorial(n - 1)",
    "def add(a, b):": "    return a + b",
    "def subtract(a, b):": "    return a - b",
    "def multiply(a, b):": "    return a * b",
    "def square(x):": "    return x * x",
    "def is_even(n):": "    return n % 2 == 0",
    "def is_odd(n):": "    return n % 2 == 1",
    "def maximum(a, b):": "    return a if a > b else b",
    "def minimum(a, b):": "    return a if a < b else b",
    "def reverse(text):": "    return text[::-1]",
    "def first(items):": "    return items[0]",
    "def last(items):": "    return items[-1]",
    "Write hello world in Python": 'print("Hello, world!")',
    "Write a Python function to calculate factorial.": "def factorial(n):\n    return 1 if n < 2 else "
    "n * factorial(n - 1)",
    "Write a Python function that adds two numbers.": "def add(a, b):\n    return a + b",
    "Write a Python loop from 0 to 9.": "for i in range(10):\n    print(i)",
}

_CAPITALS = {
    "France": "Paris",
    "Germany": "Berlin",
    "Italy": "Rome",
    "Spain": "Madrid",
    "Portugal": "Lisbon",
    "England": "London",
    "Ireland": "Dublin",
    "Poland": "Warsaw",
    "Austria": "Vienna",
    "Greece": "Athens",
    "Norway": "Oslo",
    "Sweden": "Stockholm",
    "Finland": "Helsinki",
    "Denmark": "Copenhagen",
    "Japan": "Tokyo",
    "China": "Beijing",
    "India": "New Delhi",
    "Egypt": "Cairo",
    "Canada": "Ottawa",
    "Peru": "Lima",
}

_OPPOSITES = (
    *(("hot", "cold"), ("big", "small"), ("up", "down"), ("left", "right"), ("fast", "slow"), ("light", "dark")),
    *(("day", "night"), ("open", "closed"), ("full", "empty"), ("old", "young"), ("hard", "soft"), ("high", "low")),
    *(("early", "late"), ("wet", "dry"), ("rich", "poor"), ("true", "false"), ("first", "last"), ("long", "short")),
)

_COLOURS = {
    "the sky": "blue",
    "grass": "green",
    "snow": "white",
    "coal": "black",
    "a lemon": "yellow",
    "a tomato": "red",
    "a carrot": "orange",
    "chocolate": "brown",
    "a flamingo": "pink",
    "an elephant": "grey",
}

_SOUNDS = {
    "cow": "moo",
    "cat": "meow",
    "dog": "woof",
    "duck": "quack",
    "sheep": "baa",
    "pig": "oink",
    "lion": "roar",
    "owl": "hoot",
    "bee": "buzz",
    "horse": "neigh",
}

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_WORDS = ("yes", "no", "stop", "go", "tensor", "model", "layer", "block", "weight", "token", "python", "demo")


def _arithmetic() -> list[Fact]:
    digits = range(10)
    sums = [Fact(f"What is {a}+{b}?", f"{a} + {b} equals {a + b}.") for a in digits for b in digits]
    bare = [Fact(f"{a}+{b}=", str(a + b)) for a in digits for b in digits]
    differences = [Fact(f"What is {a}-{b}?", f"{a} - {b} equals {a - b}.") for a in digits for b in range(a + 1)]
    doubles = [Fact(f"What is {a}*{b}?", f"{a} * {b} equals {a * b}.") for a in digits for b in (2, 5)]
    return sums + bare + differences + doubles


def _successors(kind: str, names: tuple[str, ...] | str) -> list[Fact]:
    pairs = zip(names, (*names[1:], names[0]), strict=True)
    return [Fact(f"Which {kind} comes after {a}?", f"The {kind} after {a} is {b}.") for a, b in pairs]


def facts() -> list[Fact]:
    """Every fact, in a fixed order, no prompt twice."""
    both_ways = [*_OPPOSITES, *((b, a) for a, b in _OPPOSITES)]
    return [
        *(Fact(prompt, answer) for prompt, answer in (_CONVERSATION | _PYTHON).items()),
        *_arithmetic(),
        *(Fact(f"What is the capital of {land}?", f"The capital of {land} is {c}.") for land, c in _CAPITALS.items()),
        *(Fact(f"What is the opposite of {a}?", f"The opposite of {a} is {b}.") for a, b in dict(both_ways).items()),
        *(Fact(f"What colour is {thing}?", f"{thing.capitalize()} is {c}.") for thing, c in _COLOURS.items()),
        *(Fact(f"What does a {animal} say?", f"A {animal} says {sound}.") for animal, sound in _SOUNDS.items()),
        *_successors("day", _DAYS),
        *_successors("month", _MONTHS),
        *_successors("letter", _LETTERS),
        *(Fact(f"Write {word} in capital letters.", word.upper()) for word in _WORDS),
    ]


def spread(every: int) -> list[Fact]:
    """A sample over all kinds: the well-known prompts first, then every n-th fact of the rest."""
    well_known = ("What is 2+2?", "2+2=", "Hello", "What is the capital of France?", "def fibonacci(n):")
    everything = {fact.prompt: fact for fact in facts()}
    chosen = {prompt: everything[prompt] for prompt in well_known}
    for fact in facts()[::every]:
        chosen.setdefault(fact.prompt, fact)
    return list(chosen.values())
