import os
import socket

import numpy as np
import pytest

from aprtui.core.dtypes import DType
from aprtui.core.errors import AprtuiError, FormatError
from aprtui.formats.bytes import FileBytes, is_file, tensor_bytes
from aprtui.formats.container import StoredTensor


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "numbers"
    path.write_bytes(np.array([1.5], "<f8").tobytes() + bytes([0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]))
    return FileBytes(path)


def test_numbers_are_little_endian(file):
    assert file.size == 16
    assert (file.u8(8, "x"), file.u16(8, "x"), file.u32(8, "x"), file.u64(8, "x")) == (
        0xFE,
        0xFFFE,
        0xFFFFFFFE,
        2**64 - 2,
    )


@pytest.mark.parametrize(("at", "count"), [(15, 2), (16, 1), (17, 0), (-1, 1), (0, -1), (2**70, 1), (0, 2**70)])
def test_reads_outside_the_file_name_file_offset_and_purpose(file, at, count):
    with pytest.raises(FormatError) as error:
        file.take(at, count, "the header")
    assert str(file.path) in str(error.value)
    assert f"offset {at}" in str(error.value)
    assert "the header" in str(error.value)
    assert "16" in str(error.value)


def test_arrays_are_read_only_and_share_memory(file):
    array = file.array(8, 8, "x")
    assert not array.flags.writeable
    assert not array.flags.owndata
    assert array[0] == 0xFE


def test_files_that_cannot_be_mapped_are_named(tmp_path):
    empty = tmp_path / "empty"
    empty.touch()
    os.mkfifo(tmp_path / "pipe")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket"))
    with pytest.raises(FormatError, match="the file is empty"):
        FileBytes(empty)
    for name, reason in (
        ("pipe", "pipe, socket or device"),
        ("socket", "cannot be opened"),
        ("missing", "no such file"),
        (".", "a directory"),
        ("a\0b", "cannot be opened"),
        ("x" * 300, "cannot be opened"),
    ):
        with pytest.raises(AprtuiError, match=reason):
            FileBytes(tmp_path / name)
    assert not is_file(tmp_path / ("x" * 300))
    assert not is_file(tmp_path / "pipe")
    listener.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(AprtuiError, match="may not be read"):
        FileBytes(path)


def _tensor(path, offset=0, nbytes=4, **changes):
    return StoredTensor("t", DType.U8, (4,), path, offset, nbytes, **changes)


def test_tensor_bytes_of_more_files_than_are_kept_open(tmp_path):
    for number in range(300):
        (tmp_path / str(number)).write_bytes(number.to_bytes(4, "little"))
    arrays = [tensor_bytes(_tensor(tmp_path / str(number))) for number in range(300)]
    assert [int(array.view("<u4")[0]) for array in arrays] == list(range(300))


def test_tensor_bytes_sees_a_replaced_file(tmp_path):
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"old!")
    old = tensor_bytes(_tensor(path))
    other.write_bytes(b"new!")
    other.replace(path)
    assert bytes(tensor_bytes(_tensor(path))) == b"new!"
    assert bytes(old) == b"old!"


def test_tensor_bytes_refuses_what_is_not_there(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"1234")
    with pytest.raises(FormatError, match="tensor t"):
        tensor_bytes(_tensor(path, offset=1))
    with pytest.raises(FormatError, match="not in the file"):
        tensor_bytes(_tensor(path, readable=False))
    path.unlink()
    with pytest.raises(AprtuiError, match="no such file"):
        tensor_bytes(_tensor(path))
