"""The catalogue covers every known cause, and the documentation shows the catalogue."""

import pytest
from fault_references import CAUSES, OUTSIDE, SIGNATURES, TRANSFORMS
from make_fault_table import TABLE, table

from aprtui.faults import FAULTS

KNOWN = CAUSES | TRANSFORMS | SIGNATURES
SHOWN = {reference for fault in FAULTS.values() for reference in fault.references}


def test_the_table_is_up_to_date():
    assert TABLE.read_text(encoding="utf-8") == table()


def test_causes_and_transforms_are_numbered_without_gaps():
    assert list(CAUSES) == [f"RC-{number:02}" for number in range(1, 87)]
    assert list(TRANSFORMS) == [f"T{number}" for number in range(1, 21)]


def test_every_known_cause_has_a_fault_or_a_reason():
    assert set(KNOWN) - SHOWN == set(OUTSIDE)


def test_no_fault_refers_to_something_unknown():
    assert set(KNOWN) >= SHOWN


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_a_fault_is_described(fault):
    assert fault.code.partition(".")[0] == fault.level
    assert fault.formats
    assert fault.references
    assert fault.title
    assert not fault.title.endswith(".")
