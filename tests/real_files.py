"""The causes of every file that two versions of apr wrote, by code: what the list of the fixtures says, in full."""

_BY_CAUSES = (
    (
        "tokenizer.special_tokens_lost tokenizer.pre_tokenizer_lost",
        {
            "0.72.3/qwen2-tiny": "s-import.apr s-import-int8.apr s-import-int4.apr s-import-fp16.apr s-import-q4k.apr",
            "0.72.3/qwen2-mixed-tiny": "s-import.apr s-import-q4k.apr",
        },
    ),
    (
        "metadata.guessed tokenizer.special_tokens_lost tokenizer.pre_tokenizer_lost",
        {
            "0.72.3/qwen2-tiny": "s-convert-q4k.apr",
            "0.72.3/qwen2-mixed-tiny": "s-convert-q4k.apr",
        },
    ),
    (
        "",
        {
            "0.72.3/qwen2-tiny": "g-f32-import.apr g-bf16-import.apr g-f16-import.apr",
            "0.72.3/llama-tiny256": "g-bf16-import.apr g-Q4_K_M-import.apr g-Q6_K-import.apr",
            "0.72.3/gpt2-tiny": "g-bf16-import.apr",
        },
    ),
    (
        "tokenizer.special_tokens_lost",
        {
            "0.72.3/qwen2-tiny": "g-Q8_0-import.apr g-Q4_K_M-import.apr",
        },
    ),
    (
        "integrity.shared_offset tokenizer.special_tokens_lost",
        {
            "0.72.3/qwen2-tiny": "sg.gguf ag.gguf",
        },
    ),
    (
        "metadata.constant_config tokenizer.missing",
        {
            "0.72.3/qwen2-tiny": "as sgs gs-Q8_0",
        },
    ),
    (
        "metadata.constant_config tokenizer.missing weights.padded_rows_read_flat",
        {
            "0.72.3/qwen2-tiny": "s-import-q4k-export",
            "0.72.3/qwen2-mixed-tiny": "s-import-q4k-export",
        },
    ),
    (
        "integrity.broken_rows metadata.file_type tokenizer.special_tokens_lost",
        {
            "0.72.3/qwen2-tiny": "s-import-q4k-export.gguf",
            "0.72.3/qwen2-mixed-tiny": "s-import-q4k-export.gguf",
        },
    ),
    (
        "metadata.changed metadata.rope_type tokenizer.special_tokens_lost tokenizer.pre_tokenizer_lost "
        "tokenizer.bos_or_eos_added",
        {
            "0.72.3/llama-tiny256": "s-import.apr",
        },
    ),
    (
        "metadata.rope_type tokenizer.special_tokens_lost tokenizer.pre_tokenizer_lost tokenizer.bos_or_eos_added",
        {
            "0.72.3/llama-tiny256": "s-import-int8.apr s-import-int4.apr s-import-q4k.apr",
        },
    ),
    (
        "metadata.guessed tokenizer.special_tokens_lost tokenizer.pre_tokenizer_lost tokenizer.bos_or_eos_added",
        {
            "0.72.3/llama-tiny256": "s-convert-q4k.apr",
        },
    ),
    (
        "structure.type_not_asked_for metadata.file_type tokenizer.special_tokens_lost "
        "tokenizer.pre_tokenizer_wrong tokenizer.bos_or_eos_added weights.rotary_missing",
        {
            "0.72.3/llama-tiny256": "sg.gguf",
        },
    ),
    (
        "structure.type_not_asked_for tokenizer.special_tokens_lost tokenizer.pre_tokenizer_wrong "
        "tokenizer.bos_or_eos_added weights.rotary_missing",
        {
            "0.72.3/llama-tiny256": "aga.apr",
        },
    ),
    (
        "structure.head_missing metadata.constant_config tokenizer.missing",
        {
            "0.72.3/llama-tiny256": "as",
        },
    ),
    (
        "metadata.constant_config tokenizer.missing weights.rotary_extra",
        {
            "0.72.3/llama-tiny256": "gs-bf16",
        },
    ),
    (
        "tokenizer.special_tokens_lost tokenizer.pre_tokenizer_wrong tokenizer.bos_or_eos_added weights.rotary_missing",
        {
            "0.72.3/llama-tiny256": "s-import-export.gguf",
        },
    ),
    (
        "tokenizer.special_tokens_lost tokenizer.special_id tokenizer.pre_tokenizer_lost tokenizer.chat_template_lost",
        {
            "0.72.3/qwen3-tiny": "s-import.apr",
        },
    ),
    (
        "integrity.shared_offset structure.type_not_asked_for metadata.file_type metadata.head_dim_guessed "
        "tokenizer.special_tokens_lost tokenizer.special_id tokenizer.pre_tokenizer_wrong "
        "tokenizer.chat_template_lost",
        {
            "0.72.3/qwen3-tiny": "sg.gguf",
        },
    ),
    (
        "metadata.head_dim_guessed metadata.rope_type",
        {
            "0.72.3/qwen3-tiny": "g-Q4_K_M-import.apr",
        },
    ),
    (
        "metadata.changed metadata.lost metadata.rope_type tokenizer.special_tokens_lost tokenizer.special_id "
        "tokenizer.pre_tokenizer_lost tokenizer.chat_template_lost",
        {
            "0.72.3/gemma3-tiny": "s-import.apr",
        },
    ),
    (
        "integrity.shared_offset structure.type_not_asked_for metadata.file_type metadata.architecture "
        "metadata.changed metadata.lost tokenizer.special_tokens_lost tokenizer.special_id "
        "tokenizer.pre_tokenizer_wrong tokenizer.chat_template_lost weights.norm_plus_one_missing",
        {
            "0.72.3/gemma3-tiny": "sg.gguf",
        },
    ),
    (
        "integrity.shared_offset structure.type_not_asked_for metadata.file_type tokenizer.special_tokens_lost",
        {
            "0.72.3/qwen2-mixed-tiny": "sg.gguf",
        },
    ),
    (
        "metadata.guessed metadata.lost metadata.rope_type tokenizer.missing",
        {
            "0.2.11/qwen2-tiny": "s-import.apr",
        },
    ),
    (
        "structure.norms_or_biases_quantised metadata.guessed metadata.lost metadata.rope_type tokenizer.missing",
        {
            "0.2.11/qwen2-tiny": "s-import-int8.apr s-import-int4.apr",
            "0.2.11/llama-tiny256": "s-import-int8.apr s-import-int4.apr",
        },
    ),
    (
        "metadata.missing tokenizer.missing",
        {
            "0.2.11/qwen2-tiny": "s-convert.apr",
        },
    ),
    (
        "structure.widened metadata.missing tokenizer.missing weights.grid",
        {
            "0.2.11/qwen2-tiny": "s-convert-int8.apr",
        },
    ),
    (
        "metadata.guessed metadata.lost metadata.rope_type tokenizer.missing weights.small_values_flushed",
        {
            "0.2.11/llama-tiny256": "s-import-fp16.apr",
            "0.2.11/qwen2-tiny": "s-import-fp16.apr",
        },
    ),
)

CAUSES_OF = {
    f"{folder}/{name}": frozenset(codes.split())
    for codes, files in _BY_CAUSES
    for folder, names in files.items()
    for name in names.split()
}
"""Codes by file."""
