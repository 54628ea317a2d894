"""Every fault in every format that it applies to: its level passes on the good product and fails on the damaged one."""

import shutil

import pytest
from fault_products import good_model, products_of, source_model

from aprtui.compare.comparison import Scope, compare_models
from aprtui.compare.unreadable import unreadable_target
from aprtui.core.errors import FormatError
from aprtui.core.outcomes import Level, Outcome
from aprtui.faults import FAULTS, NotApplicableError, inject
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type

CASES = [
    pytest.param(fault, format_, id=f"{fault.code}-{format_.value}")
    for fault in FAULTS.values()
    for format_ in Format
    if format_ in fault.formats
]

# What a fault of one level leaves as it was.
UNTOUCHED = {
    Level.INTEGRITY: (),
    Level.STRUCTURE: (Level.TOKENIZER,),
    Level.METADATA: (Level.WEIGHTS,),
    Level.TOKENIZER: (Level.STRUCTURE, Level.WEIGHTS),
    Level.WEIGHTS: (Level.TOKENIZER,),
}
good_results = {}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("goods")


def levels(source, target, asked_for, wanted):
    scope = Scope(levels=wanted, asked_for=parse_output_type(asked_for))
    results = compare_models(source, target, scope).levels
    return {result.level: result for result in results}


def good_levels(product, scratch, asked_for, wanted):
    key = (product, asked_for, wanted)
    if key not in good_results:
        model = good_model(product, scratch)
        good_results[key] = levels(source_model(product, scratch), model, asked_for, wanted)
    return good_results[key]


def first_damaged(fault, format_, scratch, place):
    """The first product of a format that the fault applies to and that passes the fault's level."""
    reasons = []
    for product in products_of(format_):
        source = source_model(product, scratch)
        try:
            damaged = inject(fault, good_model(product, scratch), place, source=source)
        except NotApplicableError as refusal:
            reasons.append(refusal.problem)
            continue
        wanted = (fault.level, *UNTOUCHED[fault.level])
        good = good_levels(product, scratch, fault.asked_for or product.asked_for, wanted)
        if good[fault.level].outcome is Outcome.CORROBORATED:
            return product, damaged, good
        reasons.append(f"{product.name} does not pass {fault.level}")
        shutil.rmtree(place)
    pytest.fail(f"no good {format_} product for {fault.code}: {sorted(set(reasons))}")


@pytest.mark.parametrize(("fault", "format_"), CASES)
def test_the_level_fails_for_the_right_reason(fault, format_, scratch, tmp_path):
    product, damaged, good = first_damaged(fault, format_, scratch, tmp_path / "damaged")
    source, asked_for = source_model(product, scratch), fault.asked_for or product.asked_for
    try:
        target = open_model(damaged.path)
    except FormatError as error:
        assert fault.level is Level.INTEGRITY
        found = {result.level: result for result in unreadable_target(source, damaged.path, error).levels}
    else:
        found = levels(source, target, asked_for, tuple(good))
    result = found[fault.level]
    assert result.outcome is Outcome.FALSIFIED
    failing = {finding.subject for finding in result.failures}
    if damaged.subjects:
        assert failing & damaged.subjects
    if fault.level is Level.WEIGHTS:
        assert failing <= damaged.subjects
    assert {level: found[level].outcome for level in good if level is not fault.level} == {
        level: good[level].outcome for level in good if level is not fault.level
    }
