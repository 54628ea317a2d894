import click

from aprtui.cli.output import wrapped


def test_a_short_line_stays_as_it_is():
    assert wrapped(click.style("pass", fg="green") + "  structure", 40) == [
        click.style("pass", fg="green") + "  structure"
    ]


def test_a_long_line_is_cut_between_words_and_indented():
    pieces = wrapped("    token_types: the target lacks token_types", 24)
    assert pieces == ["    token_types: the", "      target lacks", "      token_types"]


def test_a_styled_beginning_keeps_its_style_and_styles_nothing_else():
    line = click.style("FAIL", fg="red") + "  one two three four five six"
    first, *rest = wrapped(line, 16)
    assert first == click.style("FAIL", fg="red") + "  one two"
    assert rest == ["  three four", "  five six"]


def test_a_line_that_is_styled_as_a_whole_stays_styled():
    pieces = wrapped(click.style("NOT EQUIVALENT (weights): different", fg="red", bold=True), 20)
    assert [click.unstyle(piece) for piece in pieces] == ["NOT EQUIVALENT", "  (weights):", "  different"]
    assert all(piece.startswith("\x1b[31m\x1b[1m") and piece.endswith("\x1b[0m") for piece in pieces)
