"""Writes playbooks/architectures: one playbook for each architecture that has layout rules, on a small public model."""

from __future__ import annotations

from pathlib import Path

from aprtui.playbook.draft import Draft

FOLDER = Path(__file__).parents[1] / "playbooks" / "architectures"

MODELS = {
    "falcon": ("tiiuae/falcon-7b-instruct", "large"),
    "gemma": ("google/gemma-2b-it", "small"),
    "gemma2": ("google/gemma-2-2b-it", "small"),
    "gemma3_text": ("google/gemma-3-1b-it", "small"),
    "gpt2": ("openai-community/gpt2", "tiny"),
    "gpt_bigcode": ("bigcode/tiny_starcoder_py", "tiny"),
    "granite": ("ibm-granite/granite-3.1-2b-instruct", "small"),
    "internlm2": ("internlm/internlm2_5-7b-chat", "large"),
    "llama": ("HuggingFaceTB/SmolLM2-135M-Instruct", "tiny"),
    "mistral": ("mistralai/Mistral-7B-Instruct-v0.3", "large"),
    "mixtral": ("mistralai/Mixtral-8x7B-Instruct-v0.1", "huge"),
    "olmo2": ("allenai/OLMo-2-0425-1B-Instruct", "small"),
    "phi": ("microsoft/phi-2", "small"),
    "phi3": ("microsoft/Phi-3-mini-4k-instruct", "medium"),
    "qwen2": ("Qwen/Qwen2.5-0.5B-Instruct", "tiny"),
    "qwen2_moe": ("Qwen/Qwen1.5-MoE-A2.7B-Chat", "xlarge"),
    "qwen3": ("Qwen/Qwen3-0.6B", "tiny"),
    "qwen3_moe": ("Qwen/Qwen3-30B-A3B", "xlarge"),
    "stablelm": ("stabilityai/stablelm-2-zephyr-1_6b", "small"),
    "starcoder2": ("bigcode/starcoder2-3b", "medium"),
}
"""Repository and size class by architecture: the smallest instruct model that its makers publish, else the smallest."""

_SCHEMA = "yaml-language-server: $schema=../playbook.schema.json"


def playbooks() -> dict[str, str]:
    """Text by file name."""
    texts = {}
    for architecture, (repository, size) in MODELS.items():
        name = architecture.replace("_", "-")
        draft = Draft(
            name=name,
            comment=(_SCHEMA, f"Get the model with: hf download {repository}"),
            description=f"Conversions of a {architecture} model between SafeTensors, GGUF and APR",
            hf_repo=repository,
            size_category=size,
            family=architecture,
        )
        texts[f"{name}.playbook.yaml"] = draft.text()
    return texts


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, text in playbooks().items():
        (FOLDER / file).write_text(text, encoding="utf-8")
