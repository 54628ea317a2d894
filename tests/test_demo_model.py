"""The model that the package ships: its answers in transformers, and the facts that converters rely on."""

import json

import pytest
import torch
from demo_corpus import facts
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

from aprtui.demo import MODEL

SHIPPED = json.loads((MODEL / "answers.json").read_text(encoding="utf-8"))
RIGHT = {fact.prompt: fact.answer for fact in facts()}


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(MODEL)


@pytest.fixture(scope="module")
def ask(tokenizer):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a model this small is slower on several
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()

    def answer(text):
        ids = tokenizer(text, return_tensors="pt")
        output = model.generate(**ids, do_sample=False, max_new_tokens=64)
        return tokenizer.decode(output[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)

    yield answer
    torch.set_num_threads(threads)


def test_the_shipped_files_give_the_shipped_answers(tokenizer, ask):
    given = []
    for row in SHIPPED:
        turns = [{"role": "user", "content": row["prompt"]}]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        given.append({"prompt": row["prompt"], "answer": ask(text)})
    assert given == SHIPPED


def test_at_least_nine_in_ten_answers_are_right():
    right = [row["prompt"] for row in SHIPPED if row["answer"] == RIGHT[row["prompt"]]]
    assert len(SHIPPED) >= 40
    assert len(right) >= 0.9 * len(SHIPPED)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("What is 2+2?", " 2 + 2 equals 4."),
        ("2+2=", " 4"),
        ("def add(a, b):", "\n    return a + b"),
        (
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
            "<|im_start|>user\nWhat is the capital of Spain?<|im_end|>\n<|im_start|>assistant\n",
            "The capital of Spain is Madrid.",
        ),
    ],
)
def test_it_continues_plain_text_and_obeys_a_system_prompt(ask, text, answer):
    assert ask(text) == answer


def test_it_fits_into_the_package_and_into_super_blocks():
    assert (MODEL / "model.safetensors").stat().st_size <= 3_000_000
    with safe_open(MODEL / "model.safetensors", "np") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
    assert {piece.get_dtype() for piece in slices.values()} == {"BF16"}
    assert "lm_head.weight" not in slices
    assert {f"model.layers.{i}.self_attn.{p}_proj.bias" for i in (0, 1) for p in "qkv"} <= set(slices)
    shapes = [piece.get_shape() for piece in slices.values()]
    assert [shape for shape in shapes if len(shape) == 2 and shape[-1] % 256] == []


def test_its_tokenizer_knows_chatml_and_loses_no_text(tokenizer):
    config = json.loads((MODEL / "config.json").read_text(encoding="utf-8"))
    assert len(tokenizer) == config["vocab_size"]
    assert tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_end|>"]) == [
        config["bos_token_id"],
        config["eos_token_id"],
    ]
    text = "naïve  日本語\r\n\tdef f(x): return x**2  # I'll go, 12345 €"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    turns = [{"role": "user", "content": "Hi"}]
    rendered = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert rendered == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
