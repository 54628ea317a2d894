"""Faults inside blocks, on every quantised type that llama.cpp wrote."""

import pytest
from fault_products import QUANTISED, opened

from aprtui.compare.comparison import Scope, compare_models
from aprtui.core.outcomes import Level, Outcome
from aprtui.faults import FAULTS, NotApplicableError, blocks, inject
from aprtui.faults.fault import Fault
from aprtui.formats.model import open_model

BLOCK_FAULTS = sorted(item.code for item in vars(blocks).values() if isinstance(item, Fault))


def result(source, target, level, subjects):
    """The fault's level, over the damaged tensors only where weights are judged."""
    globs = tuple(sorted(subjects)) if level is Level.WEIGHTS else ()
    return compare_models(source, target, Scope(levels=(level,), tensor_globs=globs)).levels[0]


@pytest.mark.parametrize("code", BLOCK_FAULTS)
def test_a_fault_inside_blocks_is_found_in_every_type(code, tmp_path):
    fault, tried = FAULTS[code], 0
    for number, product in enumerate(QUANTISED):
        good = opened(product.path)
        try:
            damaged = inject(fault, good, tmp_path / str(number))
        except NotApplicableError:
            continue
        tried += 1
        source = opened(product.source)
        assert result(source, good, fault.level, damaged.subjects).outcome is Outcome.CORROBORATED
        found = result(source, open_model(damaged.path), fault.level, damaged.subjects)
        assert found.outcome is Outcome.FALSIFIED, product.name
        assert {finding.subject for finding in found.failures} <= damaged.subjects
    assert tried
