import struct

import pytest
from fixture_files import FIXTURES
from gguf_bytes import gguf_file, key, string, tensor
from header_damage import damaged, read_or_refuse
from hypothesis import HealthCheck, given, settings

from aprtui.formats.gguf import read_gguf
from aprtui.formats.gguf.header import read_header

SMALL = gguf_file(
    [
        key(b"general.alignment", 4, struct.pack("<I", 32)),
        key(b"words", 9, struct.pack("<IQ", 8, 3) + string(b"a") + string(b"bc") + string(b"")),
        key(b"numbers", 9, struct.pack("<IQ3H", 2, 3, 1, 2, 3)),
        key(b"nested", 9, struct.pack("<IQIQB", 9, 1, 0, 1, 7)),
        key(b"text", 8, string(b"value")),
    ],
    [tensor(b"a", (32,), 0, 0), tensor(b"b", (32, 2), 8, 128), tensor(b"c", (256,), 12, 224)],
    384,
)
MODEL = FIXTURES / "qwen2-tiny/gguf/Q4_K_M.gguf"
MODEL_BYTES = MODEL.read_bytes()
HEADER = read_header(MODEL).data_start
SETTINGS = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)


def test_the_undamaged_files_are_read(tmp_path):
    assert read_or_refuse(read_gguf, tmp_path / "a", SMALL)
    assert read_or_refuse(read_gguf, tmp_path / "b", MODEL_BYTES)


@given(content=damaged(SMALL, len(SMALL)))
@settings(SETTINGS, max_examples=600)
def test_a_damaged_header_is_read_or_refused(tmp_path, content):
    read_or_refuse(read_gguf, tmp_path / "damaged.gguf", content)


@given(content=damaged(MODEL_BYTES, HEADER))
@settings(SETTINGS, max_examples=150)
def test_a_damaged_model_is_read_or_refused(tmp_path, content):
    read_or_refuse(read_gguf, tmp_path / "damaged.gguf", content)


@pytest.mark.parametrize("length", range(1, len(SMALL), 7))
def test_a_file_cut_anywhere_is_read_or_refused(tmp_path, length):
    read_or_refuse(read_gguf, tmp_path / "cut.gguf", SMALL[:length])
