"""Oracles on texts: apr-qa's own examples, and texts that its oracles let pass."""

import pytest

from aprtui.core.outcomes import Outcome
from aprtui.core.scenarios import OracleKind, OracleSettings
from aprtui.inference.oracles import ask, oracles_for

PASSED, FAILED, SKIPPED = Outcome.CORROBORATED, Outcome.FALSIFIED, Outcome.SKIPPED


@pytest.mark.parametrize(
    ("prompt", "text", "outcome"),
    [
        ("2+2=", " 4", PASSED),
        ("What is 2+2?", "2 + 2 equals 4.", PASSED),
        ("What is 2+2?", "", FAILED),
        ("What is 2+2?", "24 apples", FAILED),
        ("What is 7 times 6?", "It is 42", PASSED),
        ("10/4=", "2.5", PASSED),
        ("10/4=", "2", FAILED),
        ("Compute 3 - 5", "-2", PASSED),
        ("1200*10=", "12,000", PASSED),
        ("Calculate 999 + 1.", "999 + 1 is a sum", FAILED),
        ("Calculate 999 + 1.", "999 and 1", FAILED),
        ("Calculate 999 + 1.", "999 + 1 = 1000", PASSED),
        ("What is 2-1?", "2-1 = 5", FAILED),
        ("What is 2-1?", "2-1 = 1", PASSED),
        ("What is 3+1?", "1,2,3,4", PASSED),
        ("4/0=", "infinity", SKIPPED),
        ("Tell me a story", "4", SKIPPED),
        ("Calculate 999 + 1.", "1001", FAILED),
        ("What is 123 * 456?", "56000", FAILED),
        ("What is 123 * 456?", "56,088", PASSED),
        ("What is 123 * 456?", "$56{,}088$", PASSED),
        ("What is 123 * 456?", "$123 \\times 456 = 56\\,088$", PASSED),
        ("What is 123 * 456?", "123 × 456 = 56\u202f088", PASSED),
        ("What is 2+2?", "4.0", PASSED),
        ("What is 2+2?", "3.99", FAILED),
        ("What is 0.1 + 0.2?", "0.30000000000000004", PASSED),
        ("10/3=", "3.33", PASSED),
        ("What is 1,000 + 1?", "1", FAILED),
        ("What is 1,000 + 1?", "1,001", PASSED),
        ("What is 5-12?", "The answer is −7.", PASSED),
        ("What is 5-9?", "3-4 days", FAILED),
        ("What is 2*1?", "2 times 1", FAILED),
        ("What is 5-0?", "5 minus 0 is a difference", FAILED),
        ("What is 2+2?", "2 + 2 = 5\n1 + 3 = 4", FAILED),
        ("What is 2+2?", "2 + 2 = 5? No: 2 + 2 = **4**", PASSED),
        ("What is 15-7?", "15 - 7 = 15 - 5 - 2 = 8", PASSED),
        ("What is 2000 - 1000?", "2,000 - 1,000 is a subtraction", FAILED),
        ("What is 2000 - 1000?", "2,000 − 1,000 = 1,000", PASSED),
        ("What is 12 + 1?", "11,12,13", PASSED),
        ("What is 2+2?", "Four.", PASSED),
        ("What is 2-1?", "That is one of them", FAILED),
        ("10/3=", "9" * 400, FAILED),
        ("9" * 5000 + "+1=", "9" * 5000, SKIPPED),
        (f"{'1' * 299}*{'9' * 299}.5=", "3.4", SKIPPED),
        (f"{'1' * 99}*{'9' * 99}.5=", "3.4", FAILED),
        ("1+2+3=", "6", SKIPPED),
        ("What is (2+3)*4?", "20", SKIPPED),
    ],
)
def test_arithmetic(prompt, text, outcome):
    assert ask(OracleKind.ARITHMETIC, prompt, text).outcome is outcome


@pytest.mark.parametrize(
    "text",
    [
        "4",
        "The answer is 4.",
        "```python\nprint('hi')\n```",
        "Paris",
        "Info about infinity",
        "2 + 3 + 5 + 7 + 11 = 28",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "a = 1\nb = 2\nc = 3\nd = 4",
        "----------\nHello world\n----------",
        "こんにちは世界。今日は天気がいいですね。",
        "سلام، حال شما چطور است؟ من خوبم و در خانه هستم.",
        "\U0001f468‍\U0001f469‍\U0001f467 family",
        "▁▁▂▃▁▁",
        "Il-Ġurdan u l-Ġermanja huma",
    ],
)
def test_valid_texts_are_no_garbage(text):
    assert ask(OracleKind.GARBAGE, "", text).outcome is PASSED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \n",
        "aaaaaaaaaaaaaaaaaaaaaaa",
        "\x00\x01\x02\x03\x04",
        "the the the the the the",
        "foo VILLEVILLEVILLEVILLEVILLE",
        "NaN",
        "caf\ufffd",
        "GGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGG",
        "!@#$%^&*()_+",
        "}}}}]]]]))))",
        "the cat sat the cat sat the cat sat",
        "foo VILLEVILLEVILLE bar",
        "\x7f",
        "\x85hello",
        "\x1b[31mred\x1b[0m",
        "\u200b\u200b\u200b",
        "\ue000\ue001",
        "a\ud800b",
        "-nan",
        "-inf",
        "NaN NaN NaN",
        "the\u0120cat\u0120sat\u010aon",
        "the\u2581cat\u2581sat",
        "4 4 4 4 4 4 4 4",
        "0000000000000000",
        "abab baba abba baab aabb bbaa abab abba aaaa bbbb",
    ],
)
def test_garbage(text):
    assert ask(OracleKind.GARBAGE, "", text).outcome is FAILED


@pytest.mark.parametrize(
    ("prompt", "text", "outcome"),
    [
        ("def add(a, b):", "\n    return a + b", PASSED),
        ("def add(a, b):", "\n    return a + b\n\ndef broken(", PASSED),
        ("def add(a, b):", "\n    ]]] return ===", FAILED),
        ("Write Python: add", "```python\ndef add(a, b):\n    return a + b\n```", PASSED),
        ("fn main() {", ' println!("hi"); }', PASSED),
        ("fn main() {", " ) ] }", FAILED),
        ("def add(a, b):", "", FAILED),
        # A text of so many tokens ends where it ends.
        ("def add(a, b):\n", '    """Add two numbers.\n\n    Args:', PASSED),
        ("def add(a, b):\n", "    # Add", PASSED),
        ("def fib(n):\n", '    if n <= 0:\n        return "Incorrect', PASSED),
        ("def add(a, b):\n", " I am sorry, I cannot", FAILED),
        ("def add(a, b):\n", '    return "\\d"', PASSED),
        # What the prompt alone says is no answer.
        ("import os\n", "garbage words ((", FAILED),
        ("def add(a, b):\n    return a + b\n", "garbage ]]] ((", FAILED),
        # Fences.
        ("def add(a, b):", "\n    return a + b\n```\nThat is it", PASSED),
        ("def add(a, b):", "Here it is:\n```python3 title\ndef add(a, b):\n    return a + b\n```", PASSED),
        ("def add(a, b):", "Here it is:\n```\n    return a + b\n```", PASSED),
        ("def add(a, b):", "Here it is:\n```python\n\tx = = 1\n```", FAILED),
        ("def add(a, b):", "```python\n    if a:\n        return b\n", PASSED),
        ("Go on:\n```python\ndef add(a, b):\n", "    return a + b\n```", PASSED),
        ("Go on:\n```python\ndef add(a, b):\n", "no idea", FAILED),
        ("Go on in Python:\n```\n", "def add(a, b):\n    return a + b\n```", PASSED),
        ("Go on in Python:\n```\n", "no idea", FAILED),
        ("Write Python: add", "Gladly, in words", SKIPPED),
        # Other languages have the same first words.
        ("class Foo {", " int x; }", PASSED),
        ("class Foo {", " int x; ] }", FAILED),
        ("import java.util.List;\n", "class A {}", PASSED),
        ("async function f() {", " return 1; }", PASSED),
        ("def add(a, b)\n", "  a + b\nend", PASSED),
        ("class Stack:\n    def push(", "self, x):\n        self.x = x", PASSED),
        ("class Stack:\n    def push(", "]]]", FAILED),
        # Brackets in strings and comments.
        ("fn main() {", ' println!("}"); }', PASSED),
        ("fn f<'a>(x: &'a str)", " -> char { ')' }", PASSED),
        ("function f() {", " /* ) */ g('])'); // }\n}", PASSED),
    ],
)
def test_code_syntax(prompt, text, outcome):
    assert ask(OracleKind.CODE_SYNTAX, prompt, text).outcome is outcome


def test_code_that_would_exhaust_a_parser_is_no_crash():
    lines = "".join(f"{chr(97 + number % 7)}{'+-*'[number % 3]}\n" for number in range(5000))
    assert ask(OracleKind.CODE_SYNTAX, "def f():", lines).outcome is FAILED
    assert ask(OracleKind.CODE_SYNTAX, "def f():", "\n    return " + "(" * 9000).outcome is not PASSED
    assert ask(OracleKind.CODE_SYNTAX, "def f():", " " + "x1 y2 z3 " * 3000).outcome is not PASSED


@pytest.mark.parametrize(
    ("prompt", "text", "outcome"),
    [
        ("1/3=", "0.3333333333333333", PASSED),
        ("1/3=", "1/3 = 0." + "3" * 50, PASSED),
        ("1000000*1000000=", "1000000000000", PASSED),
        ("1000000*1000000=", "0000000000000", FAILED),
        ("2+2=", "4 4 4 4 4 4 4 4", FAILED),
        ("2+2=", "4444444444444444", FAILED),
    ],
)
def test_digits_of_a_result_may_repeat(prompt, text, outcome):
    assert ask(OracleKind.GARBAGE, prompt, text).outcome is outcome


@pytest.mark.parametrize(
    ("prompt", "text", "outcome"),
    [
        ("def f(a, b, c, d):\n", "    if a and b and c and d and f:", PASSED),
        ("class A {\n", "int a; int b; int c; int d;", PASSED),
        ("def f(a, b, c, d):\n", "    the dog the cat the cow the pig", FAILED),
        ("class A {\n", "the dog the cat the cow the pig", FAILED),
        ("fn main() {", "the the the the the the the the;", FAILED),
        ("Tell me.", "if a and b and c and d and f:", FAILED),
    ],
)
def test_words_of_code_may_repeat(prompt, text, outcome):
    assert ask(OracleKind.GARBAGE, prompt, text).outcome is outcome


def test_response_and_composite():
    assert ask(OracleKind.RESPONSE, "Say hello.", "Hello there!").outcome is PASSED
    assert ask(OracleKind.RESPONSE, "Say hello.", "say  Hello.").outcome is FAILED
    both = OracleSettings(parts=(OracleKind.GARBAGE, OracleKind.ARITHMETIC))
    assert ask(OracleKind.COMPOSITE, "2+2=", "4", both).outcome is PASSED
    verdict = ask(OracleKind.COMPOSITE, "2+2=", "5", both)
    assert (verdict.outcome, verdict.reason.startswith("arithmetic:")) == (FAILED, True)
    assert ask(OracleKind.COMPOSITE, "2+2=", "5").outcome is FAILED, "what the prompt calls for"
    only = OracleSettings(parts=(OracleKind.ARITHMETIC,))
    assert ask(OracleKind.COMPOSITE, "Hi", "4", only).outcome is SKIPPED


def test_a_prompt_chooses_its_oracles():
    assert oracles_for("What is 2+2?") == (OracleKind.GARBAGE, OracleKind.ARITHMETIC)
    assert oracles_for("def hello():") == (OracleKind.GARBAGE, OracleKind.CODE_SYNTAX)
    for prompt in (
        "Summarize the events of 2020-2021",
        "On 2024-01-15 we met",
        "Call 555-1234 and",
        "Read pages 3-5 of the book",
        "The score is 3-2.",
        "24/7 support means",
        "What is 7/8 inch in mm?",
        "1+2+3=",
        "2+3*4=",
        "What is (2+3)*4?",
    ):
        assert oracles_for(prompt) == (OracleKind.GARBAGE, OracleKind.RESPONSE), prompt
    assert oracles_for("Go on:\n```\nint x") == (OracleKind.GARBAGE, OracleKind.CODE_SYNTAX)
    assert oracles_for("Explain this:\n```\nint x;\n```\n") == (OracleKind.GARBAGE, OracleKind.RESPONSE)
    for prompt in ("What is 15-7?", "Compute: 15 - 7", "15-7=", "10/4", "What is (2+3)?", "What is 100/4 and why?"):
        assert OracleKind.ARITHMETIC in oracles_for(prompt), prompt
    assert oracles_for("The capital of France is") == (OracleKind.GARBAGE, OracleKind.RESPONSE)


def test_settings_of_a_playbook_count():
    words = "red red red red green blue black white pink grey"
    assert ask(OracleKind.GARBAGE, "", words).outcome is FAILED
    assert ask(OracleKind.GARBAGE, "", words, OracleSettings(max_repetition_ratio=0.5)).outcome is PASSED
    assert ask(OracleKind.ARITHMETIC, "10/3=", "3.4", OracleSettings(tolerance=0.05)).outcome is PASSED
    assert ask(OracleKind.ARITHMETIC, "10/3=", "3.4").outcome is FAILED
