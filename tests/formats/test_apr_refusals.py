"""What the APR reader refuses, each by its name: other formats of that name, flags, versions, absurd sizes."""

import tracemalloc
from pathlib import Path

import pytest
from apr_by_hand import Tensor, build
from fixture_files import FIXTURES
from hypothesis import given, settings
from hypothesis import strategies as st

from aprtui.core.errors import AprtuiError, FormatError
from aprtui.formats.apr import check_footer, read_apr
from aprtui.formats.apr.metadata import LARGEST_METADATA
from aprtui.formats.container import Container

GOOD = build([Tensor("a.weight", 0, (4, 4), bytes(64)), Tensor("b.weight", 8, (4, 64), bytes(8 * 18))])
REAL = (FIXTURES / "apr/0.72.3/qwen2-tiny/s-import-int4.apr").read_bytes()

JSON_INDEX = b'[{"name":"weights","dtype":"json","shape":[1],"offset":0,"size":2}]'
COMPRESSED = b"\x28\xb5\x2f\xfd\x04\x00" + bytes(range(200))


def with_json_index() -> bytes:
    raw = build([], metadata=b"{}", flags=0, footer=False, tensor_count=1)
    return raw + JSON_INDEX.ljust(128, b"\0")


def with_compressed_body(flags: int) -> bytes:
    return build([Tensor("a.weight", 0, (4, 4), bytes(64))], flags=flags)[:64] + COMPRESSED


REFUSALS = {
    "APRN": (b"APRN\x01\x00" + bytes(60), "magic APRN.*convert the model again with a current apr"),
    "APR1": (b"APR1" + bytes(60), "magic APR1.*convert the model again with a current apr"),
    "APR2": (b"APR2" + GOOD[4:], "magic APR2.*convert the model again with a current apr"),
    "APRT": (b"APRT" + bytes(60), "stage dump of apr trace"),
    "old LZ4 image": (b"APR\0\x01\xff\x00\x00\x00" + bytes(100), "LZ4-compressed image of APR of the first kind"),
    "old zstd image": (b"APR\0\x02\x00\x01\x00\x00" + COMPRESSED, "zstd-compressed image of APR of the first kind"),
    "JSON index": (with_json_index(), "the tensor index is JSON: realizar's GgufToAprConverter"),
    "version 3": (build([], major=3), r"APR version 3\.0 is not known \(the header's checksum is right\)"),
    "damaged version": (GOOD[:4] + b"\x42" + GOOD[5:], "version 66.0 is not known .*checksum is wrong too"),
    "column-major": (build([], flags=0x0800), "LAYOUT_COLUMN_MAJOR"),
    "encrypted": (build([], flags=0x0404), "encrypted"),
    "LZ4 container": (with_compressed_body(0x0001), "the flags say LZ4-compressed, and everything after the header"),
    "zstd container": (with_compressed_body(0x0402), "the flags say zstd-compressed, and everything after the header"),
    "GGUF": (b"GGUF" + bytes(60), "the content is GGUF, not APR"),
    "a pickle": (b"\x80\x02" + bytes(60), "pickle"),
    "a web page": (b"<!DOCTYPE html>", "a web page"),
    "two bytes": (b"AP", "not SafeTensors, GGUF or APR"),
    "empty": (b"", "the file is empty"),
    "cut header": (GOOD[:50], "header takes 64 bytes"),
}


def refused(tmp_path: Path, raw: bytes) -> str:
    path = tmp_path / "model.apr"
    path.write_bytes(raw)
    with pytest.raises(FormatError) as caught:
        read_apr(path)
    assert "\n" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize("case", REFUSALS)
def test_refused_by_name(tmp_path: Path, case: str) -> None:
    raw, expected = REFUSALS[case]
    path = tmp_path / "model.apr"
    path.write_bytes(raw)
    with pytest.raises(FormatError, match=expected):
        read_apr(path)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (build([], metadata_size=0xFFFFFFFF), "metadata takes 4294967295 bytes, but the file ends at"),
        (build([], metadata_offset=2**64 - 1), "metadata takes 2 bytes, but the file ends at"),
        (build([], tensor_count=0xFFFFFFFF), "tensor index of 4294967295 tensors takes 85899345900 bytes"),
        (build([], index_offset=2**64 - 1), "tensor index takes 0 bytes, but the file ends at"),
        (build([Tensor("a", 0, (2**62, 2**62), b"")]), "more elements than any file can hold"),
        (build([Tensor("a", 0, (0, 2**63), b"")]), "more elements than any file can hold"),
        (build([Tensor("a", 0, (1,) * 9, bytes(4))]), "9 dimensions; aprender writes at most 8"),
        (build([Tensor("a", 77, (4,), bytes(16))]), r"tensor a \(4\), code 77, 16 bytes.*dtype code 77 is not known"),
    ],
)
def test_absurd_numbers(tmp_path: Path, raw: bytes, expected: str) -> None:
    path = tmp_path / "model.apr"
    path.write_bytes(raw)
    tracemalloc.start()
    with pytest.raises(FormatError, match=expected):
        read_apr(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_metadata_beyond_the_limit_are_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "model.apr"
    path.write_bytes(build([], metadata_size=LARGEST_METADATA + 1))
    with path.open("r+b") as file:
        file.truncate(LARGEST_METADATA + 100)  # sparse
    with pytest.raises(FormatError, match=f"at most {LARGEST_METADATA} are read"):
        read_apr(path)


def test_names_of_a_length_that_no_writer_writes(tmp_path: Path) -> None:
    at = int.from_bytes(GOOD[24:32], "little")
    message = refused(tmp_path, GOOD[:at] + b"\xff\xff" + GOOD[at + 2 :])
    assert f"index record 0, offset {at}: the name has 65535 bytes; aprender writes at most 256" in message
    cut = build([Tensor("a" * 200, 0, (4, 4), b"")], footer=False)
    assert "index record 0 takes 200 bytes" in refused(tmp_path, cut[: int.from_bytes(cut[24:32], "little") + 100])


def open_anyway(path: Path, raw: bytes) -> None:
    """Whatever the bytes: a container or one of aprtui's own errors."""
    path.write_bytes(raw)
    try:
        container = read_apr(path)
        check_footer(path)
    except AprtuiError as error:
        assert len(error.message) < 1500
        return
    assert isinstance(container, Container)
    for tensor in container.tensors:
        assert not tensor.readable or tensor.offset + tensor.nbytes <= len(raw)


FLIPS = st.lists(st.tuples(st.integers(0, 2**16), st.integers(1, 255)), min_size=1, max_size=6)


@settings(max_examples=300, deadline=None)
@given(real=st.booleans(), flips=FLIPS, length=st.none() | st.integers(0, 10_000))
def test_damaged_files_end_in_one_clear_error_or_a_container(tmp_path_factory, real, flips, length) -> None:
    damaged = bytearray((REAL if real else GOOD)[:length])
    for at, mask in flips:
        # Most flips hit header and index, where they matter.
        if damaged:
            damaged[at % min(len(damaged), 9000)] ^= mask
    open_anyway(tmp_path_factory.getbasetemp() / "damaged.apr", bytes(damaged))


NUMBERS = st.sampled_from([0, 1, 63, 64, 65, 2**31, 2**32 - 1, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1)


@settings(max_examples=300, deadline=None)
@given(
    numbers=st.lists(NUMBERS, min_size=8, max_size=8),
    record=st.tuples(st.integers(0, 255), st.lists(NUMBERS, max_size=8)),
    replaced=st.sets(
        st.sampled_from(["metadata_offset", "metadata_size", "index_offset", "data_offset", "tensor_count"])
    ),
    flags=st.sampled_from([0, 0x20, 0x400, 0x401, 0xF3FF]),
)
def test_hostile_numbers_end_in_one_clear_error_or_a_container(
    tmp_path_factory, numbers, record, replaced, flags
) -> None:
    fields = {name: numbers[number] for number, name in enumerate(sorted(replaced))}
    fields |= {name: fields[name] % 2**32 for name in ("metadata_size", "tensor_count") if name in fields}
    code, shape = record
    tensor = Tensor("a.weight", code, tuple(shape), bytes(64), offset=numbers[6], size=numbers[7])
    open_anyway(tmp_path_factory.getbasetemp() / "hostile.apr", build([tensor], flags=flags, **fields))
