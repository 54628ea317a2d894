"""Damaged GGUF headers: what is found, on whom it is blamed, and whether llama.cpp refuses the same files."""

import struct

import pytest
from gguf_bytes import gguf_file, key, llama_accepts, string, tensor

from aprtui.core.errors import FormatError
from aprtui.formats.bytes import tensor_bytes
from aprtui.formats.gguf import read_gguf

F32, Q4_K = 0, 12


def _read(tmp_path, content):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    return path, read_gguf(path)


def _three(*offsets, dims=((32,), (32,), (32,))):
    return [tensor(name, dim, F32, offset) for name, dim, offset in zip((b"a", b"b", b"c"), dims, offsets, strict=True)]


@pytest.mark.parametrize(
    ("tensors", "data", "subjects"),
    [
        (_three(0, 128, 256), 384, []),
        (_three(0, 0, 128), 256, ["a"]),
        (_three(0, 128, 128), 256, ["b"]),
        (_three(0, 0, 0), 128, ["a", "b"]),
        (_three(0, 160, 288), 416, ["b"]),
        (_three(0, 160, 256), 384, ["b"]),
        (_three(0, 96, 256), 384, ["b"]),
        (_three(0, 128, 250), 384, ["c"]),
        (_three(128, 0, 256), 384, ["a", "b"]),
        (_three(64, 192, 320), 448, ["a"]),
        # Of two tensors at one offset, the one that fills the room is not to blame.
        (_three(0, 0, 256, dims=((64,), (32,), (32,))), 384, ["b"]),
        (_three(0, 0, 128, dims=((64,), (32,), (32,))), 256, ["a"]),
        # Tensors without elements take no room.
        (_three(0, 0, 128, dims=((0,), (32,), (32,))), 256, []),
    ],
)
def test_one_fault_is_blamed_on_one_tensor(tmp_path, tensors, data, subjects):
    path, container = _read(tmp_path, gguf_file(tensors=tensors, data=data))
    assert [finding.subject for finding in container.findings if finding.is_failure] == subjects
    assert llama_accepts(path) is not bool(subjects)


def test_data_beyond_the_file_are_not_readable(tmp_path):
    _, container = _read(tmp_path, gguf_file(tensors=_three(0, 128, 256), data=300))
    assert [tensor.readable for tensor in container.tensors] == [True, True, False]
    (finding,) = container.findings
    assert finding.subject == "c"
    assert "beyond the file" in finding.message
    with pytest.raises(FormatError, match="tensor c"):
        tensor_bytes(container.tensors[2])


def test_missing_padding_at_the_end_is_no_fault(tmp_path):
    _, container = _read(tmp_path, gguf_file(tensors=[tensor(b"a", (3,), F32, 0)], data=12))
    assert container.findings == ()
    assert container.tensors[0].readable


def test_unused_bytes_at_the_end_are_a_note(tmp_path):
    path, container = _read(tmp_path, gguf_file(tensors=_three(0, 128, 256), data=512))
    (note,) = container.findings
    assert not note.is_failure
    assert "last 128 bytes" in note.message
    assert llama_accepts(path)


@pytest.mark.parametrize(("room", "readable"), [(2 * 144, True), (144, False), (4 * 144, False)])
def test_rows_that_do_not_fill_blocks(tmp_path, room, readable):
    tensors = [tensor(b"odd", (192, 2), Q4_K, 0), tensor(b"next", (32,), F32, -(-room // 32) * 32)]
    path, container = _read(tmp_path, gguf_file(tensors=tensors, data=-(-room // 32) * 32 + 128))
    assert [finding.subject for finding in container.findings] == ["odd"]
    assert container.tensors[0].readable is readable
    assert container.tensors[0].padded_rows is readable
    assert container.tensors[1].readable
    assert not llama_accepts(path)


@pytest.mark.parametrize(
    ("keys", "tensors", "subject"),
    [
        ([key(b"k", 0, b"\1"), key(b"k", 0, b"\2")], [], "k"),
        ([key(b"", 0, b"\1")], [], "file"),
        ([], [tensor(b"t", (32,), F32, 0), tensor(b"t", (32,), F32, 128)], "t"),
        ([key(b"general.alignment", 4, struct.pack("<I", 0))], [tensor(b"t", (32,), F32, 0)], "general.alignment"),
        ([key(b"general.alignment", 4, struct.pack("<I", 48))], [tensor(b"t", (32,), F32, 0)], "general.alignment"),
        ([key(b"general.alignment", 10, struct.pack("<Q", 32))], [tensor(b"t", (32,), F32, 0)], "general.alignment"),
        ([key(b"general.alignment", 8, string(b"32"))], [tensor(b"t", (32,), F32, 0)], "general.alignment"),
    ],
)
def test_what_llama_cpp_refuses_is_found(tmp_path, keys, tensors, subject):
    alignment = 48 if b"\x30\0\0\0" in b"".join(keys) else 32
    path, container = _read(tmp_path, gguf_file(keys, tensors, data=128 * len(tensors), alignment=alignment))
    assert [finding.subject for finding in container.findings] == [subject]
    assert container.findings[0].is_failure
    assert not llama_accepts(path)


def test_the_last_of_two_values_is_kept(tmp_path):
    _, container = _read(tmp_path, gguf_file([key(b"k", 0, b"\1"), key(b"k", 0, b"\2")]))
    assert container.metadata == {"k": 2}


@pytest.mark.parametrize("alignment", [4, 8, 64, 4096])
def test_the_declared_alignment_is_honoured(tmp_path, alignment):
    keys = [key(b"general.alignment", 4, struct.pack("<I", alignment))]
    second = -(-12 // alignment) * alignment
    tensors = [tensor(b"a", (3,), F32, 0), tensor(b"b", (3,), F32, second)]
    path, container = _read(tmp_path, gguf_file(keys, tensors, data=second + 12, alignment=alignment))
    assert [finding.severity.value for finding in container.findings] == (["note"] if alignment < 32 else [])
    assert container.tensors[0].offset % alignment == 0
    assert container.tensors[1].offset - container.tensors[0].offset == second
    assert llama_accepts(path)


def test_a_long_name_is_a_note(tmp_path):
    _, container = _read(tmp_path, gguf_file(tensors=[tensor(b"n" * 64, (32,), F32, 0)], data=128))
    assert [(finding.subject, finding.is_failure) for finding in container.findings] == [("n" * 64, False)]
    _, container = _read(tmp_path, gguf_file(tensors=[tensor(b"n" * 63, (32,), F32, 0)], data=128))
    assert container.findings == ()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (gguf_file(tensors=[tensor(b"t", (32,), 4, 0)]), "tensor 't' has GGML type 4 .Q4_2, removed"),
        (gguf_file(tensors=[tensor(b"t", (32,), 31, 0)]), "Q4_0_4_4, removed"),
        (gguf_file(tensors=[tensor(b"t", (32,), 99, 0)]), "tensor 't' has GGML type 99 .which is not known"),
        (gguf_file(tensors=[tensor(b"t", (1,) * 5, F32, 0)]), "5 dimensions"),
        (gguf_file(tensors=[tensor(b"t", (0, 2**63), F32, 0)]), "dimension of 9223372036854775808"),
        (gguf_file([key(b"k", 13, b"")]), "type 13, which GGUF does not define"),
        (gguf_file(tensor_count=2**60), "declares 1152921504606846976 tensors"),
        (gguf_file(key_count=2**60), "declares 1152921504606846976 keys"),
        (gguf_file([struct.pack("<Q", 2**60)]), "metadata key 0 takes"),
        (gguf_file([key(b"k", 8, struct.pack("<Q", 2**60))]), "value of 'k' takes"),
        (gguf_file([key(b"k", 9, struct.pack("<IQ", 4, 2**62))]), "value of 'k' takes"),
        (gguf_file([key(b"k", 9, struct.pack("<IQ", 8, 2**60))]), "value of 'k' takes"),
        (gguf_file([key(b"k", 9, struct.pack("<IQQ", 8, 1, 2**64 - 1))]), "ends beyond the file"),
        (gguf_file([key(b"k", 9, struct.pack("<IQ", 9, 2**60))]), "nests arrays beyond"),
        (gguf_file([key(b"k", 9, struct.pack("<IQ", 9, 1) * 20)]), "nests arrays beyond"),
        (gguf_file(tensors=[struct.pack("<Q", 2**60)], tensor_count=1), "the name of tensor 0 has"),
        (gguf_file(tensors=[tensor(b"t", (32,), F32, 0)[:-4]], alignment=1), "in the declaration of tensor 0 of 1"),
        (b"GGUF\3\0\0\0", "number of tensors takes 8 bytes"),
        (b"GGU", "magic takes 4 bytes"),
    ],
)
def test_headers_that_cannot_be_used_are_refused(tmp_path, content, reason):
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    assert not llama_accepts(path)
    with pytest.raises(FormatError, match=reason) as error:
        read_gguf(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("dims", [(2**62,), (2**40, 2**40, 2**40), (2**63 - 1,) * 4, (2**31, 2**31, 2)])
def test_sizes_that_overflow_are_found(tmp_path, dims):
    _, container = _read(tmp_path, gguf_file(tensors=[tensor(b"t", dims, F32, 0)], data=64))
    assert "beyond the file" in container.findings[0].message
    assert not container.tensors[0].readable
