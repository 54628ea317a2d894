"""Which tokens end a text: those that a file states, and those that llama.cpp takes for ends by their names.

GGUF and APR have room for one end of text where generation_config.json lists several; llama.cpp makes up for it with a
list of names (`special_eog_ids` in llama-vocab.cpp). With the same list, the same weights end where they ended before.
"""

from __future__ import annotations

from aprtui.formats.model import Model

_NAMES = frozenset(
    {
        *("<|endoftext|>", "<|end_of_text|>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<|return|>"),
        *("<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>", "<end_of_utterance>", "<EOT>", "_<EOT>", "[EOT]"),
        *("[EOS]", "<eos>", "</s>"),
    }
)


def ends_of(model: Model) -> frozenset[int]:
    """Ids behind which generation stops."""
    ends = set(model.config.values.get("eos_token_id", ()))
    facts = model.tokenizer
    if facts is not None:
        ends.update(number for kind, number in facts.special_ids.items() if kind in ("eot", "eom"))
        ends.update(number for number, text in enumerate(facts.vocabulary or ()) if text in _NAMES)
    return frozenset(ends)
