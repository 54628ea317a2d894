"""Variants of a test: the first run always, the others on demand."""

import pytest


def variants(names, values, always=1):
    """As `pytest.mark.parametrize`; values behind the first `always` run with `-m slow` alone."""
    values = list(values)
    rest = [
        pytest.param(*([value] if isinstance(names, str) else value), marks=pytest.mark.slow)
        for value in values[always:]
    ]
    return pytest.mark.parametrize(names, [*values[:always], *rest])
