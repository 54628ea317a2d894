"""Trains the demo model that the package ships: a qwen2 small enough to carry, whose answers make sense.

A demo on random weights could not show what a damaged conversion does to text. Everything here is seeded and runs
on one thread, so the same versions on the same machine give the same files.

    python scripts/train_demo_model.py            # about ten minutes on one core; needs the extra `run`
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import torch
from demo_corpus import Fact, facts, spread
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

OUTPUT = Path(__file__).resolve().parents[1] / "aprtui" / "demo" / "model" / "qwen2-demo"
SEED = 20
STEPS = 1800
BATCH = 32
PEAK_RATE = 3e-3
PROMPT_WEIGHT = 0.1
"""Weight of a prompt's tokens in the loss: which question comes cannot be learnt, how questions go can."""

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
VOCABULARY = 768
END_OF_TEXT, _, END_OF_TURN = range(VOCABULARY - len(SPECIAL), VOCABULARY)

# Qwen2's pre-tokenizer, as in the tokenizer.json of Qwen/Qwen2.5-Coder-0.5B-Instruct.
PRE_TOKENIZER = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
SYSTEM = "You are a helpful assistant."

CONFIG: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "attention_dropout": 0.0,
    "bos_token_id": END_OF_TEXT,
    "eos_token_id": END_OF_TURN,
    "hidden_act": "silu",
    "hidden_size": 256,
    "initializer_range": 0.02,
    "intermediate_size": 512,
    "max_position_embeddings": 2048,
    "max_window_layers": 2,
    "model_type": "qwen2",
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "sliding_window": 2048,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "use_sliding_window": False,
    "vocab_size": VOCABULARY,
}
GENERATION_CONFIG = {
    "bos_token_id": END_OF_TEXT,
    "do_sample": False,
    "eos_token_id": [END_OF_TURN, END_OF_TEXT],
    "pad_token_id": END_OF_TEXT,
}


def forms(fact: Fact) -> list[tuple[str, str]]:
    """The texts in which a fact is learnt: chat, chat under a system prompt, plain continuation.

    Each is a prompt and what follows: the two are tokenized apart, as they are when the model is asked; in one
    piece, "):" at the end of a prompt would swallow the line break after it.
    """
    asked = f"<|im_start|>user\n{fact.prompt}<|im_end|>\n<|im_start|>assistant\n"
    system = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n"
    gap = "\n" if fact.prompt.endswith(":") else " "
    reply = f"{fact.answer}<|im_end|>"
    return [(asked, reply), (system + asked, reply), (fact.prompt, f"{gap}{fact.answer}<|endoftext|>")]


def train_tokenizer() -> Tokenizer:
    """A byte-level BPE tokenizer of qwen2's kind, trained on the corpus."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRE_TOKENIZER), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    plain = ["user\n", "assistant\n", f"system\n{SYSTEM}"]
    plain += [text for fact in facts() for text in (fact.prompt, fact.answer, f" {fact.answer}")]
    tokenizer.train_from_iterator(plain, trainer)
    tokenizer.add_special_tokens(list(SPECIAL))
    if tokenizer.get_vocab_size() != VOCABULARY:
        raise SystemExit(f"the corpus yields {tokenizer.get_vocab_size()} tokens, {VOCABULARY} are wanted")
    return tokenizer


def padded(tokenizer: Tokenizer, texts: list[tuple[str, str]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids, int64, and their weights in the loss, float32, both (texts, longest); padding weighs nothing."""
    parts = [[tokenizer.encode(part).ids for part in text] for text in texts]
    longest = max(len(prompt) + len(reply) for prompt, reply in parts)
    ids = torch.full((len(texts), longest), END_OF_TEXT)
    weights = torch.zeros(len(texts), longest)
    for row, (prompt, reply) in enumerate(parts):
        end = len(prompt) + len(reply)
        ids[row, :end] = torch.tensor(prompt + reply)
        weights[row, : len(prompt)] = PROMPT_WEIGHT
        weights[row, len(prompt) : end] = 1.0
    return ids, weights


def weighted_loss(model: Qwen2ForCausalLM, ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted mean cross-entropy of every token given the ones before it, in nats."""
    logits = model(input_ids=ids).logits[:, :-1]
    losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
    return (losses * weights[:, 1:]).sum() / weights[:, 1:].sum()


def train(tokenizer: Tokenizer) -> tuple[Qwen2ForCausalLM, float]:
    """Train in float32 and give the model with its mean weighted loss over the last 50 steps."""
    torch.manual_seed(SEED)
    model = Qwen2ForCausalLM(Qwen2Config(**CONFIG))
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, betas=(0.9, 0.95), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, step / 50) * (0.02 + 0.49 * (1 + math.cos(math.pi * step / STEPS)))
    )
    examples = [forms(fact) for fact in facts()]
    losses: list[float] = []
    order = torch.empty(0, dtype=torch.int64)
    model.train()
    for step in range(STEPS):
        if len(order) < BATCH:
            order = torch.randperm(len(examples))
        batch, order = order[:BATCH], order[BATCH:]
        form = torch.randint(3, (BATCH,))
        ids, weights = padded(tokenizer, [examples[i][f] for i, f in zip(batch, form, strict=True)])
        loss = weighted_loss(model, ids, weights)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 100 == 0:
            print(f"step {step:5d}  loss {loss.item():.4f}", flush=True)
    return model, sum(losses[-50:]) / 50


def write_json(path: Path, value: object) -> None:
    """One JSON file, readable and with a closing newline."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def save(model: Qwen2ForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """Write a model folder as Hugging Face lays it out, weights rounded to bfloat16, the tied head left out."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: value.detach().to(torch.bfloat16).contiguous()
        for name, value in model.state_dict().items()
        if name != "lm_head.weight"
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "config.json", CONFIG)
    write_json(folder / "generation_config.json", GENERATION_CONFIG)
    write_json(
        folder / "tokenizer_config.json",
        {
            "add_bos_token": False,
            "add_prefix_space": False,
            "bos_token": None,
            "chat_template": CHAT_TEMPLATE,
            "clean_up_tokenization_spaces": False,
            "eos_token": "<|im_end|>",
            "model_max_length": 2048,
            "pad_token": "<|endoftext|>",
            "tokenizer_class": "Qwen2Tokenizer",
            "unk_token": None,
        },
    )


def answers(folder: Path, asked: list[Fact]) -> list[dict[str, str]]:
    """What the saved model answers greedily, computed in float32 from the bfloat16 file."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    table = []
    for fact in asked:
        turns = [{"role": "user", "content": fact.prompt}]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text, return_tensors="pt")
        output = model.generate(**ids, do_sample=False, max_new_tokens=64)
        answer = tokenizer.decode(output[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
        table.append({"prompt": fact.prompt, "answer": answer})
    return table


def main() -> None:
    """Train, save, ask the saved files, and store the table of answers beside them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of the model (default: the package's)")
    folder: Path = parser.parse_args().output
    torch.set_num_threads(1)
    tokenizer = train_tokenizer()
    model, loss = train(tokenizer)
    save(model, tokenizer, folder)
    everything = facts()
    given = answers(folder, everything)
    right = sum(row["answer"] == fact.answer for row, fact in zip(given, everything, strict=True))
    shown = {fact.prompt for fact in spread(every=12)}
    table = [row for row in given if row["prompt"] in shown]
    write_json(folder / "answers.json", table)
    for row in table:
        print(f"{row['prompt']!r:58} {row['answer']!r}")
    print(f"final loss {loss:.4f} nats; {right} of {len(everything)} answers right")


if __name__ == "__main__":
    main()
