"""Dtype codes that mean different types: the size decides, then the writer, and else nobody."""

from pathlib import Path

import pytest
from apr_by_hand import Tensor, build

from aprtui.core.errors import FormatError
from aprtui.formats.apr import read_apr
from aprtui.formats.container import Container

SHAPE = (4, 256)
ELEMENTS = 1024

APRENDER = {"flags": 0x0400}
OLD_APRENDER = {"flags": 0}
REALIZAR = {"flags": 0x0020, "footer": False}
NOBODY = {"flags": 0, "footer": False}
ALL = {"aprender": APRENDER, "old aprender": OLD_APRENDER, "realizar": REALIZAR, "nobody": NOBODY}

# Bytes for 1024 elements, from the block sizes in the format's description.
BYTES = {
    "F32": 4 * ELEMENTS,
    "F16": 2 * ELEMENTS,
    "BF16": 2 * ELEMENTS,
    "F64": 8 * ELEMENTS,
    "I32": 4 * ELEMENTS,
    "I64": 8 * ELEMENTS,
    "I8": ELEMENTS,
    "U8": ELEMENTS,
    "AprQ4": 18 * 32,
    "AprQ8": 4 + ELEMENTS,
    "Q4_0": 18 * 32,
    "Q4_1": 20 * 32,
    "Q5_0": 22 * 32,
    "Q5_1": 24 * 32,
    "Q8_0": 34 * 32,
    "Q8_1": 36 * 32,
    "Q2_K": 84 * 4,
    "Q3_K": 110 * 4,
    "Q4_K": 144 * 4,
    "Q5_K": 176 * 4,
    "Q6_K": 210 * 4,
}

BY_SIZE = [
    (0, "F32"),
    (1, "F16"),
    (2, "BF16"),
    (2, "Q4_0"),
    (3, "F64"),
    (3, "Q4_1"),
    (4, "I32"),
    (5, "I64"),
    (6, "I8"),
    (6, "Q5_0"),
    (7, "U8"),
    (7, "Q5_1"),
    (8, "Q8_0"),
    (9, "AprQ8"),
    (9, "Q8_1"),
    (12, "Q4_K"),
    (13, "Q5_K"),
    (14, "Q6_K"),
    (30, "BF16"),
    (128, "AprQ4"),
    (129, "AprQ8"),
]


def opened(tmp_path: Path, code: int, size: int, kind: dict, shape: tuple[int, ...] = SHAPE) -> Container:
    path = tmp_path / "model.apr"
    path.write_bytes(build([Tensor("a.weight", code, shape, bytes(size))], **kind))
    return read_apr(path)


def type_of(container: Container) -> str:
    assert not [found for found in container.findings if found.is_failure]
    return container.tensors[0].dtype.value


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(("code", "dtype"), BY_SIZE)
def test_the_size_decides_whoever_wrote_the_file(tmp_path: Path, code: int, dtype: str, kind: str) -> None:
    assert type_of(opened(tmp_path, code, BYTES[dtype], ALL[kind])) == dtype


@pytest.mark.parametrize(
    ("code", "dtype"), [(8, "Q4_K"), (9, "Q6_K"), (10, "Q8_0"), (11, "Q4_0"), (12, "Q5_K"), (13, "Q3_K"), (14, "Q2_K")]
)
def test_realizars_early_numbers(tmp_path: Path, code: int, dtype: str) -> None:
    assert type_of(opened(tmp_path, code, BYTES[dtype], REALIZAR)) == dtype


def test_of_equal_sizes_the_writers_type_counts(tmp_path: Path) -> None:
    assert BYTES["AprQ4"] == BYTES["Q4_K"] == BYTES["Q4_0"]
    assert type_of(opened(tmp_path, 8, BYTES["AprQ4"], APRENDER)) == "AprQ4"
    assert type_of(opened(tmp_path, 8, BYTES["AprQ4"], OLD_APRENDER)) == "AprQ4"
    assert type_of(opened(tmp_path, 8, BYTES["AprQ4"], REALIZAR)) == "Q4_K"
    with pytest.raises(FormatError, match=r"a\.weight \(4 x 256\), code 8, 576 bytes.*fits AprQ4 or Q4_K alike"):
        opened(tmp_path, 8, BYTES["AprQ4"], NOBODY)


def test_a_truncated_file_is_known_by_its_metadata(tmp_path: Path) -> None:
    kind = NOBODY | {"metadata": b'{"total_size":0,"param_count":9}'}
    assert type_of(opened(tmp_path, 8, BYTES["AprQ4"], kind)) == "AprQ4"
    kind = NOBODY | {"metadata": b'{"model_type":"transformer_lm_q4k"}'}
    assert type_of(opened(tmp_path, 8, BYTES["AprQ4"], kind)) == "Q4_K"


def test_a_block_of_32_elements_in_36_bytes(tmp_path: Path) -> None:
    assert type_of(opened(tmp_path, 9, 36, OLD_APRENDER, (32,))) == "AprQ8"
    assert type_of(opened(tmp_path, 9, 36, REALIZAR, (32,))) == "Q8_1"
    with pytest.raises(FormatError, match="code 9 with 36 bytes fits AprQ8 or Q8_1 alike"):
        opened(tmp_path, 9, 36, NOBODY, (32,))


@pytest.mark.parametrize("code", [2, 3, 6, 7, 8, 9])
@pytest.mark.parametrize("kind", ALL)
def test_a_size_that_fits_no_type_of_an_ambiguous_code(tmp_path: Path, code: int, kind: str) -> None:
    place = rf"a\.weight \(4 x 256\), code {code}, 999 bytes"
    with pytest.raises(FormatError, match=f"{place}.*999 bytes fit none for 1024 elements"):
        opened(tmp_path, code, 999, ALL[kind])


@pytest.mark.parametrize("code", [10, 11, 15, 16, 29, 31, 127, 130, 255])
def test_unknown_codes(tmp_path: Path, code: int) -> None:
    with pytest.raises(FormatError, match=f"dtype code {code} is not known"):
        opened(tmp_path, code, 576, APRENDER)


def test_early_numbers_are_no_excuse_in_a_file_of_aprenders(tmp_path: Path) -> None:
    container = opened(tmp_path, 12, BYTES["Q5_K"], APRENDER)
    messages = [found.message for found in container.findings if found.is_failure]
    assert messages == ["its size does not fit Q4_K of shape [4, 256]"]


def test_a_type_that_aprender_would_take_for_another_is_noted(tmp_path: Path) -> None:
    container = opened(tmp_path, 8, BYTES["Q8_0"], APRENDER)
    assert [found.message for found in container.findings] == [
        "the size shows Q8_0, but aprender takes dtype code 8 for AprQ4"
    ]


def test_rows_that_do_not_fill_blocks(tmp_path: Path) -> None:
    """apr's own types run flat; GGML's small blocks never do; K-quants are padded row by row."""
    assert type_of(opened(tmp_path, 8, 18 * 4, APRENDER, (5, 20))) == "AprQ4"
    assert type_of(opened(tmp_path, 2, 2 * 100, REALIZAR, (5, 20))) == "BF16"
    assert type_of(opened(tmp_path, 14, 210 * 5, REALIZAR, (5, 20))) == "Q6_K"
    with pytest.raises(FormatError, match="fit none for 100 elements"):
        opened(tmp_path, 2, 18 * 4, REALIZAR, (5, 20))


def test_tensors_without_elements(tmp_path: Path) -> None:
    assert type_of(opened(tmp_path, 0, 0, NOBODY, (0, 4))) == "F32"
    assert type_of(opened(tmp_path, 129, 0, APRENDER, (0, 4))) == "AprQ8"
    assert type_of(opened(tmp_path, 9, 0, APRENDER, (0, 4))) == "AprQ8"
    with pytest.raises(FormatError, match="alike"):
        opened(tmp_path, 9, 0, NOBODY, (0, 4))
