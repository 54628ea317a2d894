"""`apr` as a converter: the spelling of each recorded version, and runs that find what is known of its files."""

import shlex

import pytest
from fixture_files import FIXTURES
from stand_in_apr import install_apr

from aprtui.convert import MissingConverter, converter_named, read_record, working_directory
from aprtui.core.errors import AprtuiError
from aprtui.formats.container import Format
from aprtui.formats.digest import file_digest
from aprtui.formats.output_types import parse_output_type
from aprtui.settings import Settings

S, G, A = Format.SAFETENSORS, Format.GGUF, Format.APR
LLAMA = FIXTURES / "llama-tiny256"
MADE = FIXTURES / "apr/0.72.3/llama-tiny256"
SOURCES = {S: LLAMA / "hf", G: LLAMA / "gguf/bf16.gguf", A: MADE / "s-import.apr"}
NAMES = {S: "model.safetensors", G: "model.gguf", A: "model.apr"}


@pytest.fixture
def apr(monkeypatch, tmp_path):
    def install(version="0.72.3"):
        program = install_apr(tmp_path / "bin", version)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        return converter_named(None, Settings()), program

    return install


def convert(converter, source, target, tmp_path, outtype="lossless"):
    destination = tmp_path / "product"
    destination.mkdir(parents=True)
    return converter.convert(source, target, destination, parse_output_type(outtype))


@pytest.mark.parametrize(
    ("pair", "expected", "recorded"),
    [
        ((S, A), "import {source} -o {product}", "s-import.apr"),
        ((G, A), "import {source} -o {product}", "g-bf16-import.apr"),
        ((A, S), "export {source} -o {product} --format safetensors", "as/model.safetensors"),
        ((A, G), "export {source} -o {product} --format gguf", "s-import-export.gguf"),
        ((S, G), "rosetta convert {source} {product}", "sg.gguf"),
        ((G, S), "rosetta convert {source} {product}", "gs-bf16/model.safetensors"),
    ],
)
def test_every_pair_in_the_spelling_of_0_72_3(apr, tmp_path, pair, expected, recorded):
    source, target = pair
    converter, program = apr()
    named = SOURCES[source] / "model.safetensors" if source is S else SOURCES[source]
    product = tmp_path / "product" / NAMES[target]
    lossless = parse_output_type("lossless")
    assert converter.not_offered(SOURCES[source], target, lossless) is None
    command = converter.command(SOURCES[source], target, tmp_path / "product", lossless)
    assert shlex.split(command) == [str(program), *expected.format(source=named, product=product).split()]
    found = convert(converter, SOURCES[source], target, tmp_path)
    assert found == (product.parent if target is S else product)
    assert product.read_bytes() == (MADE / recorded).read_bytes()


@pytest.mark.parametrize(("outtype", "word"), [("int8", "int8"), ("int4", "int4"), ("q4_k", "q4k"), ("q4k", "q4k")])
def test_an_output_type_is_passed_when_asked_for(apr, tmp_path, outtype, word):
    converter, _ = apr()
    product = convert(converter, SOURCES[S], A, tmp_path, outtype)
    assert product.read_bytes() == (MADE / f"s-import-{word}.apr").read_bytes()
    (command,) = read_record(product.parent)["commands"]
    assert command["arguments"][-2:] == ["--quantize", word]


def test_f16_is_spelled_fp16(apr, tmp_path):
    converter, _ = apr()
    for outtype in ("f16", "fp16"):
        for source, target in ((S, A), (S, G), (A, S)):
            command = converter.command(SOURCES[source], target, tmp_path / "d", parse_output_type(outtype))
            assert command.endswith(" --quantize fp16")


@pytest.mark.parametrize(
    ("version", "asked", "reason"),
    [
        ("0.72.3", (S, A, "q4_k_m"), "apr has no output type q4_k_m for APR"),
        ("0.72.3", (S, G, "int8"), "apr has no output type int8 for GGUF"),
        ("0.72.3", (S, S, "lossless"), "apr has no conversion from SafeTensors to SafeTensors"),
        ("0.2.11", (S, G, "lossless"), "apr 0.2.11 has no `rosetta convert`, its only way from SafeTensors to GGUF"),
        ("0.2.11", (G, S, "lossless"), "apr 0.2.11 has no `rosetta convert`, its only way from GGUF to SafeTensors"),
        ("0.2.11", (S, A, "q4_k"), "apr 0.2.11 has no `--quantize q4k`"),
    ],
)
def test_what_a_version_does_not_offer_has_a_reason(apr, tmp_path, version, asked, reason):
    source, target, outtype = asked
    converter, _ = apr(version)
    assert converter.not_offered(SOURCES[source], target, parse_output_type(outtype)) == reason
    with pytest.raises(AprtuiError) as error:
        convert(converter, SOURCES[source], target, tmp_path, outtype)
    assert error.value.message == reason
    assert not working_directory(tmp_path / "product").exists()


def test_the_older_version_converts_and_refuses_as_recorded(apr, tmp_path):
    converter, _ = apr("0.2.11")
    product = convert(converter, SOURCES[S], A, tmp_path / "a", "int8")
    assert product.read_bytes() == (FIXTURES / "apr/0.2.11/llama-tiny256/s-import-int8.apr").read_bytes()
    with pytest.raises(AprtuiError) as error:
        convert(converter, SOURCES[G], A, tmp_path / "b")
    assert error.value.message == (
        "apr ended with exit code 5: error: Validation failed: Invalid model format: "
        "Unsupported GGUF dtype 30 for tensor 'output.weight'"
    )


def test_its_identity_is_its_binary(apr):
    converter, program = apr()
    assert converter.identity.path == program and converter.identity.name == "apr"
    assert converter.identity.version == "0.72.3 (9c34b9a91)"
    assert converter.identity.digest == file_digest(program)
    assert not converter.parallel_safe
    install_apr(program.parent, "0.2.11")
    assert converter.identity.version == "0.2.11" and converter.identity.digest == file_digest(program)


def test_a_missing_apr_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = converter_named(None, Settings())
    assert isinstance(missing, MissingConverter) and missing.reason.startswith("apr is not on PATH; ")
    elsewhere = install_apr(tmp_path / "elsewhere", "0.72.3")
    found = converter_named("apr", Settings(converters={"apr": {"path": str(elsewhere), "time_limit_s": 9}}))
    assert not isinstance(found, MissingConverter) and found.identity.path == elsewhere
    gone = converter_named("apr", Settings(converters={"apr": {"path": str(tmp_path / "no/apr")}}))
    assert isinstance(gone, MissingConverter)
    assert gone.reason.startswith(f"apr: {tmp_path}/no/apr is not an executable file; ")


def test_an_apr_that_states_no_version(apr, tmp_path):
    converter, program = apr()
    program.write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    with pytest.raises(AprtuiError, match="asked for its version, it ended with exit code 3: broken"):
        convert(converter, SOURCES[S], A, tmp_path)
