"""The 2x2 test counts the same of a text, whatever a tokenizer puts around it."""

import contextlib
from types import SimpleNamespace

import pytest
import torch

from aprtui.inference import token_swap
from aprtui.inference.samples import Samples
from aprtui.inference.tokenizers import EncodedTexts

VOCABULARY = 16
BOS, EOS = 1, 2


class Uniform:
    """A model that finds every token as probable as any other."""

    checkpoint = SimpleNamespace(config={"vocab_size": VOCABULARY})

    def kept(self):
        return contextlib.nullcontext()

    def hidden(self, ids):
        return ids

    def logits(self, ids):
        return torch.zeros(len(ids), VOCABULARY)


def sides(source, target, monkeypatch):
    ids = {"source": source, "target": target}
    models = [SimpleNamespace(name=name, one_id=lambda kind: {"bos": BOS, "eos": EOS}[kind]) for name in ids]
    monkeypatch.setattr(token_swap, "encode_texts", lambda model, _: EncodedTexts("", (ids[model.name],)))
    pair = SimpleNamespace(source=models[0], target=models[1])
    return token_swap.token_swap(pair, (Uniform(), Uniform()), Samples(("abcd",), ((),), ""))


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ((BOS, 5, 6, 7), (5, 6, 7)),
        ((5, 6, 7), (BOS, 5, 6, 7)),
        ((BOS, 5, 6, 7), (BOS, 5, 6, 7, EOS)),
        ((BOS, 5), (5,)),
    ],
)
def test_what_stands_around_a_text_is_not_counted(source, target, monkeypatch):
    swap = sides(source, target, monkeypatch)
    counted = 2 if len(source) > 2 else 0
    assert swap.source_tokens_source_weights == swap.target_tokens_source_weights == pytest.approx(counted * 4 / 4)


def test_a_text_of_more_tokens_costs_more(monkeypatch):
    swap = sides((BOS, 5, 6), (BOS, 5, 6, 7, 8), monkeypatch)
    assert swap.source_tokens_source_weights < swap.target_tokens_source_weights
