"""What a filter refuses, and what it makes of lists that have names only."""

import pytest

from aprtui.store.filters import Filter, FilterError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("margin>many", "margin>many: many is no number"),
        ("margin>", "margin>: nothing is no number"),
        ("size>3", "size>3: no such column; there are dtype:"),
        ("colour:red", "colour:red: no such column"),
    ],
)
def test_words_that_mean_nothing_are_named(text, message):
    with pytest.raises(FilterError) as error:
        Filter(text)
    assert str(error.value).startswith(message)


def test_names_alone():
    names = ["Qwen2.5-0.5b", "qwen3", "llama"]
    assert Filter("qwen").names(names) == [0, 1]
    assert Filter("qwen !3").names(names) == [0]
    assert Filter("q*3").names(names) == [1]
    assert Filter("").names(names) == [0, 1, 2]
    assert not Filter("  ")
