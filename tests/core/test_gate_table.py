"""The table of gates is whole, and docs/gates.md is made from it."""

from make_gate_table import TABLE, table

from aprtui.core.gate_table import CONVERSION_PAIRS, GATES, ROUND_TRIPS
from aprtui.core.gates import FormatLetter, GateFamily, GateSeverity


def test_the_file_is_up_to_date():
    assert TABLE.read_text(encoding="utf-8") == table(), "run scripts/make_gate_table.py"


def test_every_row_says_everything():
    for gate in GATES.values():
        assert gate.title and gate.inputs and gate.pass_rule and gate.unlike_upstream, gate.gate_id
        assert gate.levels or gate.gate_id in ("G0-PULL-001", "G0-FORMAT-WORKSPACE-001")
    assert {gate.severity for gate in GATES.values()} == set(GateSeverity)
    assert {gate.family for gate in GATES.values()} == set(GateFamily) - {GateFamily.OTHER}


def test_ids_are_those_that_apr_qa_knows():
    pairs = {f"F-CONV-{source}-{target}" for source in "SGA" for target in "SGA" if source != target}
    assert {gate.gate_id for gate in CONVERSION_PAIRS} == pairs
    assert [gate.routes[0] for gate in ROUND_TRIPS] == ["GASG", "SAGS", "SAGAS", "SAGA"]
    assert set(GATES) >= {
        *("F-CONV-RT-BYTE-001", "F-CONV-IDEM-001", "F-CONV-COM-001", "F-CONV-CARD-001", "F-CONV-NAME-001"),
        *("F-CONV-SHAPE-001", "F-CONV-EMBED-001", "F-CONV-WEIGHT-001", "F-CONV-CONFIG-001", "F-CONV-DEQUANT-001"),
        *("F-CONV-MISSING-001", "F-CONTRACT-I2-001", "F-CONTRACT-I3-001", "F-CONTRACT-I4-001", "G0-PULL-001"),
        *("G0-VALIDATE-001", "G0-TENSOR-001", "G0-LAYOUT-001", "G0-LAYOUT-CRITICAL", "G0-INTEGRITY-CONFIG"),
        *("G0-INTEGRITY-LAYERS", "G0-INTEGRITY-HIDDEN", "G0-INTEGRITY-VOCAB", "G0-FORMAT-GGUF-001"),
        *("G0-FORMAT-APR-001", "G0-FORMAT-WORKSPACE-001"),
    }


def test_a_gate_needs_the_formats_of_its_routes():
    assert GATES["F-CONV-RT-001"].formats == set(FormatLetter)
    assert GATES["F-CONV-S-G"].formats == {FormatLetter.SAFETENSORS, FormatLetter.GGUF}
    assert GATES["F-CONV-NAME-001"].formats == frozenset()
