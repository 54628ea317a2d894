"""Names of pre-tokenizers: a structure gets a name only if llama.cpp splits text under that name as it does.

The vocabulary is trained without any splitting, so its tokens run across every boundary: wherever two rules split a
text differently, the ids differ.
"""

import json
import unicodedata

import pytest
from llama_tokenizer import llama_ids, write_vocabulary
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from aprtui.formats.tokenizer import pre_tokenizers as table

TEXTS = (
    "Hello world, it's 2024! I've 12345 apples; we'll pay $99.50.",
    "    indented\n\n\tcode = foo(bar[0], 1234567)\r\n  # don't\n",
    "CamelCase snake_case HTTPServer2go (normal) ...!!! ??",
    "Привет мир 123 нещо на Български",
    "你好世界1314天 工作 한국어 テスト",
    "a  b   c \n d\n\n\n e  ",
    "He'LL SAY 'TIS 3.14e-10 x+=y && z||w /path/to//file",
    "नमस्ते दुनिया, e\u0301te\u0301",
    "ÄÖÜ straße café naïve 10 100 1000 10000",
)
ASCII = {index for index, text in enumerate(TEXTS) if text.isascii()}
WITHOUT_MARKS = {index for index, text in enumerate(TEXTS) if not any(map(unicodedata.combining, text))}
# Where llama.cpp's rules of a name are known to differ from the model's own: falcon splits digits off after bytes
# became letters, some of which are digits; llama.cpp's expressions for the other two know no combining marks.
COMPARED = {"falcon": ASCII, "gpt-4o": WITHOUT_MARKS, "tekken": WITHOUT_MARKS}
NAMES = sorted(set(table._STRUCTURES.values()))


def raw_structure(name):
    """tokenizer.json's `pre_tokenizer` for a row of the table."""
    steps = next(steps for steps, known in table._STRUCTURES.items() if known == name)
    parts = []
    for kind, value, *_ in steps:
        if kind == "Split":
            part = {"type": "Split", "pattern": {"Regex": value}, "behavior": "Isolated", "invert": False}
        elif kind == "Digits":
            part = {"type": "Digits", "individual_digits": value}
        elif kind == "Punctuation":
            part = {"type": "Punctuation", "behavior": value}
        else:
            part = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": value}
        parts.append(part)
    return parts[0] if len(parts) == 1 else {"type": "Sequence", "pretokenizers": parts}


@pytest.fixture(scope="module")
def trained():
    """tokenizer.json of a BPE that merges across everything."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=900, initial_alphabet=alphabet, show_progress=False)
    pieces = [text[start : start + 6] for text in TEXTS for start in range(len(text))]
    tokenizer.train_from_iterator(pieces, trainer)
    return json.loads(tokenizer.to_str())


@pytest.fixture(scope="module")
def ids_of(trained, tmp_path_factory):
    """Ids that llama.cpp gives the texts under a name, and those of tokenizers under a structure."""
    vocabulary = trained["model"]["vocab"]
    tokens = sorted(vocabulary, key=vocabulary.get)
    merges = [" ".join(pair) for pair in trained["model"]["merges"]]
    folder = tmp_path_factory.mktemp("vocabulary")

    def llama(name):
        path = folder / f"{name}.gguf"
        if not path.exists():
            write_vocabulary(path, tokens, merges, name)
        return llama_ids(path, TEXTS)

    def tokenizers(structure, name):
        # llama.cpp takes a whole word that is a token without merging, under these names.
        whole = name in ("llama-bpe", "tekken")
        model = {**trained["model"], "ignore_merges": whole}
        tokenizer = Tokenizer.from_str(json.dumps({**trained, "model": model, "pre_tokenizer": structure}))
        return [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]

    return llama, tokenizers


@pytest.mark.parametrize("name", NAMES)
def test_a_structure_splits_text_as_its_name_does(ids_of, name):
    llama, tokenizers = ids_of
    structure = raw_structure(name)
    assert table.recognise(structure).name == name
    expected, found = llama(name), tokenizers(structure, name)
    for index in COMPARED.get(name, range(len(TEXTS))):
        assert found[index] == expected[index]


def test_another_name_is_told_apart(ids_of):
    llama, tokenizers = ids_of
    by_name = {name: tuple(map(tuple, llama(name))) for name in NAMES if name not in ("llama-bpe", "tekken")}
    assert len(set(by_name.values())) == len(by_name)
    assert tokenizers(raw_structure("qwen2"), "qwen2") != llama("gpt-2")


@pytest.mark.parametrize("names", table._ALIKE, ids=lambda names: names[0])
def test_names_of_one_class_split_alike(ids_of, names):
    llama, _ = ids_of
    first, *others = names
    expected = llama(first)
    if first == "llama-bpe":
        others = [name for name in others if name not in ("dbrx", "smaug-bpe", "glm4")]  # These do merge whole words.
    for name in others:
        assert llama(name) == expected, name


@pytest.mark.parametrize("name", sorted({name for names in table._ALIKE for name in names} | {"tekken", "default"}))
def test_names_that_add_bos(trained, tmp_path, name):
    vocabulary = trained["model"]["vocab"]
    tokens = sorted(vocabulary, key=vocabulary.get)
    write_vocabulary(tmp_path / "a.gguf", tokens, [" ".join(pair) for pair in trained["model"]["merges"]], name)
    plain, special = (llama_ids(tmp_path / "a.gguf", ["zz"], add_special=flag)[0] for flag in (False, True))
    assert (special == [0, *plain]) == (name in table.ADDS_BOS)


@pytest.mark.parametrize(
    "raw", [None, 3, [], {}, {"type": "Split"}, {"type": "Sequence", "pretokenizers": 3}, {"type": "Metaspace"}]
)
def test_an_unknown_structure_has_a_fingerprint_only(raw):
    found = table.recognise(raw)
    assert found.name is None
    assert found.fingerprint == table.recognise(raw).fingerprint


def test_a_changed_regex_is_another_structure():
    good = raw_structure("qwen2")
    changed = json.loads(json.dumps(good).replace("{L}+|", "{L}*|", 1))
    assert changed != good
    assert table.recognise(changed).name is None
    assert table.recognise(changed).fingerprint != table.recognise(good).fingerprint


def test_nesting_has_a_limit():
    raw = raw_structure("gpt-2")
    for _ in range(50):
        raw = {"type": "Sequence", "pretokenizers": [raw]}
    assert table.recognise(raw).name is None
