"""Widgets of the console; all of them paint lines, and all text goes through `paint`."""
