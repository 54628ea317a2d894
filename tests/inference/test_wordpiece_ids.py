"""WordPiece: BERT's files against the GGUF that llama.cpp's converter made of them."""

import json

import pytest
from fixture_files import vocabularies
from transformers import BertTokenizer

from aprtui.compare.token_ids import tokenizer_level
from aprtui.core.outcomes import Outcome, Severity
from aprtui.formats.model import open_model
from aprtui.inference.tokenizers import PROBES, encode_texts

GGUF = vocabularies() / "ggml-vocab-bert-bge.gguf"


def berts_own(text):
    """A token of the GGUF as vocab.txt has it: a mark where a word goes on, none where it begins."""
    if text.startswith("[") and text.endswith("]"):
        return text
    return text.removeprefix("▁") if text.startswith("▁") else f"##{text}"


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """A Hugging Face folder with transformers' own tokenizer.json of that vocabulary, and no weights."""
    folder = tmp_path_factory.mktemp("bert") / "hf"
    tokens = [berts_own(text) for text in open_model(GGUF).tokenizer.vocabulary]
    BertTokenizer({text: number for number, text in enumerate(tokens)}).save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "pad_token_id": 0}), encoding="utf-8")
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    return open_model(folder)


def test_a_good_conversion_of_bert_passes(bert):
    result = tokenizer_level(bert, open_model(GGUF))
    assert (result.outcome, result.failures) == (Outcome.CORROBORATED, ())
    assert [one.severity for one in result.findings] == [Severity.NOTE] * 2
    assert "llama.cpp splits 2 texts otherwise than the target's facts say" in result.findings[1].message


def test_ids_of_bert_are_those_of_transformers(bert):
    theirs = BertTokenizer.from_pretrained(bert.path)
    assert [list(ids) for ids in encode_texts(bert, PROBES).ids] == [theirs(text)["input_ids"] for text in PROBES]


@pytest.mark.parametrize("old", ["hello", "##ing"])
def test_a_token_that_differs_fails(old, bert, tmp_path):
    path = bert.path / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    vocab = content["model"]["vocab"]
    content["model"]["vocab"] = {f"{text}{'' if text != old else 'x'}": number for text, number in vocab.items()}
    for name in ("config.json", "tokenizer_config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((bert.path / name).read_bytes())
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    result = tokenizer_level(open_model(tmp_path), open_model(GGUF))
    assert [one.subject for one in result.failures] == ["vocabulary"]
