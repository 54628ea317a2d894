"""Every gate of the table: it passes on a good file, fails on a damaged one for that reason, is Skipped with a reason.

Each run serves many gates; beside each failure stands a gate that the damage does not concern, and that passes.
"""

import re
from dataclasses import dataclass
from importlib.util import find_spec

import pytest
from gate_runs import EMPTY, ONLY_APR, ONLY_GGUF, ONLY_SAFETENSORS, ZEROS, Setup

from aprtui.core.gate_table import GATES
from aprtui.core.gates import GateFamily
from aprtui.core.outcomes import ExitCode, Level, Outcome, exit_code
from aprtui.core.scenarios import EngineName

_PAIRS = ("F-CONV-?-?", "G0-FORMAT-*")
_CHAINS = ("F-CONV-RT-*", "F-CONV-IDEM-001", "F-CONV-COM-001", "F-CONV-S-G", "F-CONV-G-A")
_OF_MODEL = ("G0-[!F]*",)
_TO_APR = ("F-CONV-S-A", "F-CONV-*-001", "F-CONTRACT-*")
_RUNNING = ("G0-PULL-001", "F-CONV-SEMANTIC-001", "F-CONV-INFER-001", "F-CONTRACT-I1-001", "F-GOLDEN-RULE-00[13]")
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
_EXPECTED = {"expected_hidden_dim": 64, "expected_num_layers": 2}

BEHAVIOUR = tuple(gate for gate in GATES if GATES[gate].levels == (Level.BEHAVIOUR,))
"""Gates that run models."""

SCENARIOS = tuple(gate for gate in GATES if GATES[gate].family is GateFamily.SCENARIO)
"""Those of them that engines decide."""

_ASKED = ("G0-PULL-001", "F-A?-001", "G[1-4]-*")
_SPEED = ("G1-LOAD", "F-PROFILE-*")


def asked(
    formats,
    faults=None,
    *,
    engine=EngineName.APR,
    apr="",
    gates=_ASKED,
    backends=("cpu",),
    modalities=("run",),
    fast=0.001,
    time=1e6,
    without=(),
):
    """A run of scenarios on the demo model, which knows what 2+2 is."""
    limits = {"min_throughput": fast, "max_p50_ms": time, "max_p99_ms": time}
    keys = {
        "test_matrix": {"modalities": list(modalities), "backends": list(backends), "prompts": ["What is 2+2?"]},
        "profile_ci": {"warmup": 1, "measure": 2, "backends": list(backends), "assertions": limits},
    }
    engines, levels = (engine,), (Level.BEHAVIOUR,)
    return Setup(faults or {}, gates, formats, without=without, levels=levels, scenarios=keys, engines=engines, apr=apr)


RUNS = {
    "good": Setup(outtype={"F-CONV-S-G": "q8_0"}, expected=_EXPECTED),
    # Faults in the products of every other pair; each is also the source of pairs that are good.
    "pairs, first half": Setup(
        {"S-G": "weights.rows_rolled", "S-A-S": "metadata.rope_theta.changed", "S-G-A": "structure.tensor_missing"},
        _PAIRS,
    ),
    "pairs, second half": Setup(
        {"S-A": "integrity.not_a_number", "S-G-S": "weights.zeroed", "S-A-G": "structure.extra_tensor"}, _PAIRS
    ),
    # Faults in products that no pair has.
    "chains, first half": Setup(
        {"S-G-A-2": "weights.last_bit", "S-A-G-S": "weights.k_v_swapped", "S-A-G-A-S": "weights.negated"}, _CHAINS
    ),
    "chains, second half": Setup(
        {"S-G-S-A": "weights.scaled", "S-A-G-A": "weights.layers_swapped", "S-G-A-S-G": "weights.two_rows_swapped"},
        _CHAINS,
    ),
    "missing tensor": Setup({"S-A": "structure.tensor_missing"}, _TO_APR, ONLY_APR),
    "other name": Setup({"S-G": "structure.name_of_other_role"}, ("F-CONV-*",), ONLY_GGUF),
    "shape": Setup({"S-A": "structure.rows_missing"}, _TO_APR, ONLY_APR),
    "embedding": Setup({"S-A": "weights.embedding_scaled"}, _TO_APR, ONLY_APR),
    "matrix": Setup({"S-A": "weights.transposed"}, _TO_APR, ONLY_APR),
    "rope_theta": Setup({"S-A": "metadata.rope_theta.changed"}, _TO_APR, ONLY_APR),
    "expectation": Setup({}, _TO_APR, ONLY_APR, expected={**_EXPECTED, "expected_num_layers": 3}),
    "blocks": Setup({"G-S": "weights.rows_rolled"}, ("F-CONV-*",), ONLY_GGUF, has_source=True),
    "beside blocks": Setup({"S-G": "weights.rows_rolled"}, ("F-CONV-*",), ONLY_GGUF, has_source=True),
    "half a header": Setup({"S-A": "integrity.header_cut"}, ("F-*",)),
    "types": Setup({"S-A": "structure.silent_4_bits"}, _TO_APR, ONLY_APR),
    "no model": Setup({}, _OF_MODEL, ONLY_APR, model_fault=ZEROS),
    "NaN": Setup({}, _OF_MODEL, ONLY_APR, model_fault="integrity.not_a_number"),
    "zeros": Setup({}, _OF_MODEL, ONLY_APR, model_fault="weights.zeroed"),
    "layer": Setup({}, _OF_MODEL, ONLY_APR, model_fault="structure.tensor_missing"),
    "rows": Setup({}, _OF_MODEL, ONLY_APR, model_fault="structure.rows_missing"),
    "turned embedding": Setup({}, _OF_MODEL, ONLY_APR, model_fault="structure.embedding_transposed"),
    "layers stated": Setup({}, _OF_MODEL, ONLY_APR, config={"num_hidden_layers": 5}),
    "width stated": Setup({}, _OF_MODEL, ONLY_APR, config={"hidden_size": 65}),
    "vocabulary stated": Setup({}, _OF_MODEL, ONLY_APR, config={"vocab_size": 513}),
    "text for a number": Setup({}, _OF_MODEL, ONLY_APR, config={"rope_theta": "a lot"}),
    "NaN in all": Setup({}, formats=ONLY_APR, model_fault="integrity.not_a_number"),
    "blocked": Setup({}, ("G0-*",), ONLY_APR, is_blocked=True),
    "merges": Setup({"S-A": "tokenizer.merges_order"}, _TO_APR, ONLY_APR),
    "no tokenizer": Setup({}, _TO_APR, ONLY_APR, without=_TOKENIZER),
    "it runs": Setup({}, _RUNNING, ONLY_APR, levels=(Level.BEHAVIOUR,)),
    "it runs in 4 bits": Setup(
        {}, ("F-GOLDEN-RULE-001",), ONLY_APR, outtype={"F-CONV-S-A": "int4"}, levels=(Level.BEHAVIOUR,)
    ),
    "no text": Setup({}, _RUNNING, ONLY_APR, levels=(Level.BEHAVIOUR,), without=_TOKENIZER),
    "it answers otherwise": Setup({"S-A": "weights.negated"}, _RUNNING, ONLY_APR, levels=(Level.BEHAVIOUR,)),
    "it does not run": Setup({"S-A": "integrity.not_a_number"}, _RUNNING, ONLY_APR, levels=(Level.BEHAVIOUR,)),
    "good answers": asked(ONLY_GGUF, engine=EngineName.LLAMA_CPP, gates=(*_ASKED, *_SPEED), modalities=("run", "chat")),
    "good chat on a GPU": asked(ONLY_SAFETENSORS, engine=EngineName.REFERENCE, backends=("gpu",), modalities=("chat",)),
    "good answers on a GPU": asked(ONLY_SAFETENSORS, apr="say('2 + 2 equals 4.')", backends=("cpu", "gpu")),
    "not loaded": asked(ONLY_GGUF, {"S-G": "integrity.header_cut"}, engine=EngineName.LLAMA_CPP),
    "garbage": asked(ONLY_GGUF, {"S-G": "weights.layers_swapped"}, engine=EngineName.LLAMA_CPP),
    "wrong answer": asked(ONLY_GGUF, {"S-G": "weights.zeroed"}, engine=EngineName.LLAMA_CPP),
    "wrong answer in chat": asked(
        ONLY_GGUF, {"S-G": "weights.rows_rolled"}, engine=EngineName.LLAMA_CPP, modalities=("chat",)
    ),
    "wrong answer in chat on a GPU": asked(
        *(ONLY_GGUF, {"S-G": "weights.rows_rolled"}),
        engine=EngineName.REFERENCE,
        backends=("gpu",),
        modalities=("chat",),
    ),
    "no template": asked(
        ONLY_SAFETENSORS,
        engine=EngineName.REFERENCE,
        backends=("cpu", "gpu"),
        modalities=("chat",),
        without=("tokenizer_config.json", "chat_template.jinja"),
    ),
    "too slow": asked(ONLY_GGUF, engine=EngineName.LLAMA_CPP, gates=_SPEED, fast=1e9, time=1e-9),
    "refusal": asked(ONLY_SAFETENSORS, apr="sys.exit(print('error: no such op', file=sys.stderr) or 8)"),
    "abort": asked(ONLY_SAFETENSORS, apr="os.abort()"),
    "wrong answer on a GPU": asked(
        ONLY_SAFETENSORS, apr="say('It is 5.' if backend == 'gpu' else 'It is 4.')", backends=("cpu", "gpu")
    ),
    "no engine": asked(ONLY_SAFETENSORS, gates=(*_ASKED, *_SPEED), backends=("cpu", "gpu")),
    "no converter": Setup(None, outtype={"F-CONV-S-G": "q8_0"}, levels=tuple(Level)),
    "few tensors": Setup(
        {},
        ("F-CONV-[!RCI]*-001", "F-CONV-CARD-001", "F-CONTRACT-*", "G0-FORMAT-*"),
        tensors=("*norm*",),
        has_source=True,
    ),
    "no tensors": Setup({}, _OF_MODEL, ONLY_APR, model_fault=EMPTY),
    "unknown": Setup({}, _OF_MODEL, ONLY_APR, config={"model_type": "other", "architectures": ["OtherForCausalLM"]}),
    "nothing stated": Setup(
        {}, _OF_MODEL, ONLY_APR, config={"num_hidden_layers": None, "hidden_size": None, "vocab_size": None}
    ),
}
"""By name."""


@dataclass(frozen=True)
class Damage:
    """A run in which a gate fails.

    Attributes:
        run: Its name.
        reason: Pattern of the reason.
        passes: A gate that passes there.
        outcome: What becomes of the gate.
    """

    run: str
    reason: str
    passes: str
    outcome: Outcome = Outcome.FALSIFIED


PASSES = {
    "G0-PULL-001": r"5 files read \(--model: the path itself\)",
    "G0-VALIDATE-001": "offsets and sizes fit, every value is finite, no matrix is all zeros",
    "G0-TENSOR-001": "every tensor of the architecture is there",
    "G0-INTEGRITY-CONFIG": "the configuration can be read and agrees with the tensors",
    "G0-INTEGRITY-LAYERS": "num_hidden_layers agrees with the tensors",
    "G0-INTEGRITY-HIDDEN": "hidden_size agrees with the tensors",
    "G0-INTEGRITY-VOCAB": "vocab_size agrees with the tensors",
    "G0-LAYOUT-001": "every shape is the configuration's",
    "G0-LAYOUT-CRITICAL": "embedding and head have the shape of the configuration",
    "G0-FORMAT-GGUF-001": "quantisation only, in 15 of 26 tensors, every block certified",
    "G0-FORMAT-APR-001": "Weights identical",
    "G0-FORMAT-WORKSPACE-001": "there is room for",
    "F-CONV-S-G": "quantisation only, in 15 of 26 tensors, every block certified",
    "F-CONV-S-A": "Weights identical, every value of all 26 tensors equal",
    "F-CONV-G-S": "Weights equal",
    "F-CONV-A-S": "Weights identical",
    "F-CONV-A-G": "Weights equal",
    "F-CONV-G-A": "Weights equal",
    "F-CONV-RT-001": "every hop holds; no tensor changed",
    "F-CONV-RT-002": "every hop holds; no tensor changed",
    "F-CONV-RT-003": "every hop holds; no tensor changed",
    "F-CONV-RT-004": "every hop holds; no tensor changed",
    "F-CONV-RT-BYTE-001": "both products are equal",
    "F-CONV-IDEM-001": "both products are equal",
    "F-CONV-COM-001": "both products are equal",
    "F-CONV-CARD-001": "every product holds as many tensors, in 6 conversions",
    "F-CONV-NAME-001": "every tensor is where its reader looks for it, in 6 conversions",
    "F-CONV-SHAPE-001": "every tensor has the shape of its layout rule, in 6 conversions",
    "F-CONV-EMBED-001": "embedding and head hold, in 6 conversions",
    "F-CONV-WEIGHT-001": "every element holds, in 6 conversions",
    "F-CONV-CONFIG-001": "every product states the same, in 7 conversions",
    "F-CONV-DEQUANT-001": "every block is kept or decoded exactly, in 30 tensors",
    "F-CONV-MISSING-001": "6 conversions left products that can be opened",
    "F-CONV-TOK-001": "every tokenizer says the same, in 6 conversions",
    "F-CONV-SEMANTIC-001": "every product answers alike, in 2 conversions",
    "F-CONV-INFER-001": "every product runs, in 2 conversions",
    "F-CONTRACT-I1-001": "the APR answers alike, in 1 conversion",
    "F-CONTRACT-I5-001": "the tokenizers say the same, in 1 conversion",
    "F-GOLDEN-RULE-001": r"greedy tokens are the same in (\d+) of \1 texts; mean KLD 0 \(as a cast\)$",
    "F-GOLDEN-RULE-002": "1 conversion left products that can be opened",
    "F-GOLDEN-RULE-003": "the APR runs, in 1 conversion",
    "F-CONTRACT-I2-001": "the APR holds the checkpoint's tensors and no others, in 1 conversion",
    "F-CONTRACT-I3-001": "every type was asked for, and the file is whole, in 1 conversion",
    "F-CONTRACT-I4-001": "every element holds, in 1 conversion",
    "G1-LOAD": "every file is loaded: 1 prompt, S>G in llama.cpp$",
    "G2-BASIC": "every file generates text: 1 prompt, S>G in llama.cpp$",
    "G3-STABLE": "no engine crashes: 1 prompt, S>G in llama.cpp$",
    "G4-VALID": "no text is garbage: 1 prompt, S>G in llama.cpp$",
    "F-A1-001": "every answer holds: 1 prompt, S>G in llama.cpp$",
    "F-A2-001": "every answer holds: 1 prompt, S in apr$",
    "F-A3-001": "every answer holds: 1 prompt, S>G in llama.cpp$",
    "F-A4-001": "every answer holds: 1 prompt, S in reference$",
    "F-PROFILE-CI-001": r"S>G in llama.cpp on cpu: [\d.]+ tokens/s, .*, at least 0.001 asked for",
    "F-PROFILE-CI-002": r"S>G in llama.cpp on cpu: p99 [\d.]+ ms, at most 1e\+06 ms asked for",
    "F-PROFILE-CI-003": r"S>G in llama.cpp on cpu: p50 [\d.]+ ms, at most 1e\+06 ms asked for",
}
"""What each gate says of good files."""

DAMAGED = {
    "G0-PULL-001": Damage("no model", "begins with zeros", "", Outcome.CRASHED),
    "G0-VALIDATE-001": Damage("NaN", "integrity: .*: 1 NaN and 0 infinite values", "G0-TENSOR-001"),
    "G0-TENSOR-001": Damage("layer", "structure: model.layers.*: the model lacks this tensor", "G0-LAYOUT-001"),
    "G0-INTEGRITY-CONFIG": Damage("text for a number", "metadata: rope_theta: ", "G0-INTEGRITY-LAYERS"),
    "G0-INTEGRITY-LAYERS": Damage("layers stated", "num_hidden_layers contradicts the tensors", "G0-INTEGRITY-VOCAB"),
    "G0-INTEGRITY-HIDDEN": Damage("width stated", "hidden_size contradicts the shape", "G0-INTEGRITY-VOCAB"),
    "G0-INTEGRITY-VOCAB": Damage("vocabulary stated", "vocab_size contradicts the shape", "G0-INTEGRITY-HIDDEN"),
    "G0-LAYOUT-001": Damage("rows", "structure: model.layers.*: its shape is not the one that", "G0-LAYOUT-CRITICAL"),
    "G0-LAYOUT-CRITICAL": Damage("turned embedding", "model.embed_tokens.weight: its shape is not", "G0-TENSOR-001"),
    "G0-FORMAT-GGUF-001": Damage("pairs, first half", "weights: .*outside its tolerance", "G0-FORMAT-APR-001"),
    "G0-FORMAT-APR-001": Damage("pairs, second half", "integrity: .*1 NaN", "G0-FORMAT-GGUF-001"),
    "G0-FORMAT-WORKSPACE-001": Damage(
        "blocked", "the directory for products cannot be used", "G0-VALIDATE-001", Outcome.CRASHED
    ),
    "F-CONV-S-G": Damage("pairs, first half", r"\(weights\): .*outside its tolerance \(bit-exact\)", "F-CONV-G-S"),
    "F-CONV-S-A": Damage(
        "pairs, second half", r"\(integrity, weights\): .*: 1 NaN and 0 infinite values", "F-CONV-A-S"
    ),
    "F-CONV-G-S": Damage("pairs, second half", r"\(weights\): .*outside its tolerance", "F-CONV-S-G"),
    "F-CONV-A-S": Damage("pairs, first half", r"\(metadata\): .*rope_theta differs", "F-CONV-S-A"),
    "F-CONV-A-G": Damage("pairs, second half", "; structure: .*the source has no such tensor", "F-CONV-G-A"),
    "F-CONV-G-A": Damage("pairs, first half", r"\(structure\): .*the target lacks this tensor", "F-CONV-A-G"),
    "F-CONV-RT-001": Damage("chains, second half", "hop 3, SafeTensors to GGUF: .*different in 1 of", "F-CONV-S-G"),
    "F-CONV-RT-002": Damage("chains, first half", "hop 3, GGUF to SafeTensors: .*different in 4 of", "F-CONV-RT-001"),
    "F-CONV-RT-003": Damage("chains, first half", "hop 4, APR to SafeTensors: .*different in 1 of", "F-CONV-RT-004"),
    "F-CONV-RT-004": Damage("chains, second half", "hop 3, GGUF to APR: .*weights different in", "F-CONV-RT-002"),
    "F-CONV-RT-BYTE-001": Damage("chains, second half", "the two products differ: weights: ", "F-CONV-IDEM-001"),
    "F-CONV-IDEM-001": Damage("chains, first half", "the two products differ: weights: ", "F-CONV-COM-001"),
    "F-CONV-COM-001": Damage("chains, second half", "the two products differ: weights: ", "F-CONV-G-A"),
    "F-CONV-CARD-001": Damage("missing tensor", "the target lacks this tensor$", "F-CONV-SHAPE-001"),
    "F-CONV-NAME-001": Damage("other name", "the target lacks this tensor .and 1 more", "F-CONV-SHAPE-001"),
    "F-CONV-SHAPE-001": Damage("shape", "shapes differ", "F-CONV-CARD-001"),
    "F-CONV-EMBED-001": Damage("embedding", "SafeTensors to APR: model.embed_tokens.weight: out", "F-CONV-CONFIG-001"),
    "F-CONV-WEIGHT-001": Damage("matrix", "SafeTensors to APR: model.layers.*outside its tol", "F-CONV-EMBED-001"),
    "F-CONV-CONFIG-001": Damage("rope_theta", "SafeTensors to APR: rope_theta: rope_theta diff", "F-CONV-WEIGHT-001"),
    "F-CONV-DEQUANT-001": Damage("blocks", "GGUF to SafeTensors: .*outside its tolerance", "F-CONV-S-G"),
    "F-CONV-MISSING-001": Damage("half a header", "no product of S>A: ", "F-CONV-S-G"),
    "F-CONV-TOK-001": Damage("merges", "SafeTensors to APR: merges: ", "F-CONV-CONFIG-001"),
    "F-CONV-SEMANTIC-001": Damage("it answers otherwise", "SafeTensors to APR: logits: ", "F-CONV-INFER-001"),
    "F-CONV-INFER-001": Damage(
        "it does not run", "SafeTensors to APR: model: its logits are not finite", "G0-PULL-001"
    ),
    "F-CONTRACT-I1-001": Damage("it answers otherwise", "SafeTensors to APR: logits: ", "F-GOLDEN-RULE-003"),
    "F-CONTRACT-I5-001": Damage("merges", "SafeTensors to APR: merges: ", "F-CONTRACT-I3-001"),
    "F-GOLDEN-RULE-001": Damage("it answers otherwise", "SafeTensors to APR: text: ", "F-GOLDEN-RULE-003"),
    "F-GOLDEN-RULE-002": Damage("half a header", "no product of S>A: ", "F-CONV-S-G"),
    "F-GOLDEN-RULE-003": Damage(
        "it does not run", "SafeTensors to APR: model: its logits are not finite", "G0-PULL-001"
    ),
    "F-CONTRACT-I2-001": Damage("missing tensor", "the target lacks this tensor", "F-CONTRACT-I3-001"),
    "F-CONTRACT-I3-001": Damage("types", "AprQ4 was not asked for", "F-CONTRACT-I2-001"),
    "F-CONTRACT-I4-001": Damage("matrix", "outside its tolerance", "F-CONTRACT-I2-001"),
    "G1-LOAD": Damage("not loaded", "S>G in llama.cpp on cpu: it is not loaded: llama.cpp does not load", "G3-STABLE"),
    "G2-BASIC": Damage("refusal", "S in apr on cpu: it ended with exit code 8: error: no such op", "G3-STABLE"),
    "G3-STABLE": Damage("abort", "S in apr on cpu: it was ended by SIGABRT", "G0-PULL-001"),
    "G4-VALID": Damage("garbage", "S>G in llama.cpp on cpu: .*: garbage: the text repeats", "G1-LOAD"),
    "F-A1-001": Damage("wrong answer", "S>G in llama.cpp on cpu: .*: arithmetic: 2 . 2 is 4, and the", "G4-VALID"),
    "F-A2-001": Damage("wrong answer on a GPU", "S in apr on gpu: .*: arithmetic: 2 . 2 is 4, and the", "F-A1-001"),
    "F-A3-001": Damage("wrong answer in chat", "S>G in llama.cpp on cpu: .*'What is 2.2.' is answered", "G0-PULL-001"),
    "F-A4-001": Damage(
        "wrong answer in chat on a GPU", "S>G in reference on gpu: .*'What is 2.2.' is answered", "G0-PULL-001"
    ),
    "F-PROFILE-CI-001": Damage("too slow", r"at least 1e\+09 asked for; the machine's load was", "G1-LOAD"),
    "F-PROFILE-CI-002": Damage("too slow", "p99 .* at most 1e-09 ms asked for; the machine's load was", "G1-LOAD"),
    "F-PROFILE-CI-003": Damage("too slow", "p50 .* at most 1e-09 ms asked for; the machine's load was", "G1-LOAD"),
}
"""A damage that each gate is about."""

NEVER_SKIPPED = {
    "G0-PULL-001": "without a model nothing can be checked: the run crashes",
    "G0-FORMAT-WORKSPACE-001": "where products go can always be looked at",
}
"""Gates that are judged in every run, and why."""

_NO_CONVERTER = "no converter: the one under test is not on this machine"
_FEW = r"only tensors that match \*norm\* were compared"
_UNKNOWN = "could not check structure: tensors: no table of the architecture other"

SKIPPED = {
    "G0-VALIDATE-001": ("no tensors", "could not check integrity: integrity: the model has no tensors"),
    "G0-TENSOR-001": ("unknown", _UNKNOWN),
    "G0-LAYOUT-001": ("unknown", _UNKNOWN),
    "G0-LAYOUT-CRITICAL": ("unknown", _UNKNOWN),
    "G0-INTEGRITY-CONFIG": ("nothing stated", "num_hidden_layers: not stated, or no tensor to hold it against"),
    "G0-INTEGRITY-LAYERS": ("nothing stated", "num_hidden_layers: not stated"),
    "G0-INTEGRITY-HIDDEN": ("nothing stated", "hidden_size: not stated"),
    "G0-INTEGRITY-VOCAB": ("nothing stated", "vocab_size: not stated"),
    "G0-FORMAT-GGUF-001": ("few tensors", _FEW),
    "G0-FORMAT-APR-001": ("few tensors", _FEW),
    "F-CONV-CONFIG-001": ("no converter", f"could not check SafeTensors to GGUF: {_NO_CONVERTER}"),
    "F-CONV-MISSING-001": ("no converter", f"could not check S>G: {_NO_CONVERTER}"),
    **{gate: ("no converter", f"^{_NO_CONVERTER}") for gate in GATES if re.fullmatch("F-CONV-[SGA]-[SGA]", gate)},
    **{f"F-CONV-RT-00{number}": ("no converter", f"^hop 1, .*: {_NO_CONVERTER}") for number in (1, 2, 3, 4)},
    **{f"F-CONV-{name}-001": ("no converter", f"^{_NO_CONVERTER}") for name in ("RT-BYTE", "IDEM", "COM")},
    "F-CONV-TOK-001": ("no tokenizer", "could not check tokenizer of SafeTensors to APR"),
    "F-CONTRACT-I5-001": ("no tokenizer", "could not check tokenizer of SafeTensors to APR"),
    "F-GOLDEN-RULE-002": ("no converter", f"could not check S>A: {_NO_CONVERTER}"),
    **dict.fromkeys(SCENARIOS, ("no engine", r"could not check S in apr on .*: the command '.*/apr' is not installed")),
    **{f"F-A{number}-001": ("no template", "could not check S in ref.*: it has no chat template") for number in (3, 4)},
    **{
        gate: ("no converter", f"could not check Saf.*: {_NO_CONVERTER}") for gate in BEHAVIOUR if gate not in SCENARIOS
    },
    **{f"F-CONTRACT-I{number}-001": ("few tensors", _FEW) for number in (2, 3, 4)},
    **{f"F-CONV-{name}-001": ("few tensors", _FEW) for name in ("CARD", "NAME", "SHAPE", "EMBED", "WEIGHT", "DEQUANT")},
}
"""A run that cannot check a gate, and the reason."""

_results = {}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Runs by name, each made once."""

    def result(name):
        if name not in _results:
            _results[name] = RUNS[name].run(tmp_path_factory.mktemp("run"))
        return _results[name]

    return result


def test_every_gate_is_in_each_table():
    assert set(PASSES) == set(DAMAGED) == set(GATES)
    assert set(SKIPPED).isdisjoint(NEVER_SKIPPED) and set(SKIPPED) | set(NEVER_SKIPPED) == set(GATES)


def test_the_good_run_passes(results):
    code, entries = results("good")
    assert entries.keys() == GATES.keys() - {*BEHAVIOUR} and code is ExitCode.PASSED


def _good_run(gate):
    if gate in SCENARIOS:
        on_gpu = {"F-A2-001": "good answers on a GPU", "F-A4-001": "good chat on a GPU"}
        return on_gpu.get(gate, "good answers")
    return "it runs" if gate in BEHAVIOUR else "good"


_MISSING = [name for name in ("torch", "xllamacpp") if find_spec(name) is None]
_GATES = [
    pytest.param(gate, marks=pytest.mark.skipif(bool(_MISSING), reason=f"needs {_MISSING}"))
    if gate in BEHAVIOUR
    else gate
    for gate in GATES
]


def _needs_gpu(gate):
    """apr's chat prints a session of no known shape, so that no stand-in can take the place of a GPU."""
    if gate == "F-A4-001" and not pytest.importorskip("torch").cuda.is_available():
        pytest.skip("needs a GPU; tests/gates/test_scenarios.py judges answers of one")


@pytest.mark.parametrize("gate", _GATES)
def test_it_passes_on_good_files(results, gate):
    _needs_gpu(gate)
    entry = results(_good_run(gate))[1][gate]
    assert entry.outcome is Outcome.CORROBORATED
    assert re.search(PASSES[gate], entry.reason)


@pytest.mark.parametrize("gate", _GATES)
def test_it_fails_on_damaged_files_for_that_reason(results, gate):
    _needs_gpu(gate)
    damage = DAMAGED[gate]
    code, entries = results(damage.run)
    entry = entries[gate]
    assert entry.outcome is damage.outcome
    assert re.search(damage.reason, entry.reason), entry.reason
    assert code == (ExitCode.FALSIFIED if damage.outcome is Outcome.FALSIFIED else ExitCode.ENVIRONMENT)
    if damage.passes:
        assert entries[damage.passes].outcome is Outcome.CORROBORATED, entries[damage.passes].reason


@pytest.mark.parametrize("gate", SKIPPED)
def test_it_is_skipped_with_the_reason(results, gate):
    name, reason = SKIPPED[gate]
    code, entries = results(name)
    assert entries[gate].outcome is Outcome.SKIPPED
    assert re.search(reason, entries[gate].reason), entries[gate].reason
    assert code == exit_code(one.outcome for one in entries.values())


@pytest.mark.parametrize(
    ("run", "gate", "reason", "passes"),
    [
        ("zeros", "G0-VALIDATE-001", "every value of this matrix is zero", "G0-TENSOR-001"),
        ("expectation", "F-CONV-CONFIG-001", "num_hidden_layers is not what the playbook expects", "F-CONV-S-A"),
        ("beside blocks", "F-CONV-WEIGHT-001", "SafeTensors to GGUF: .*outside its tolerance", "F-CONV-DEQUANT-001"),
    ],
)
def test_other_damages(results, run, gate, reason, passes):
    entries = results(run)[1]
    assert entries[gate].outcome is Outcome.FALSIFIED
    assert re.search(reason, entries[gate].reason), entries[gate].reason
    assert entries[passes].outcome is Outcome.CORROBORATED


def test_the_damage_of_a_source_is_not_its_conversions(results):
    """Pairs that start from a damaged source and keep what it holds."""
    first, second = results("pairs, first half")[1], results("pairs, second half")[1]
    assert first["F-CONV-G-S"].reason == "Weights identical, every value of all 26 tensors equal" + (
        "; its source differs from the model already (weights)"
    )
    damaged = "integrity: model.layers.0.mlp.down_proj.weight: 1 NaN and 0 infinite values of 8192"
    assert second["F-CONV-A-S"].reason.startswith(f"the product is as its source, which is damaged: {damaged}")
    assert "integrity" in second["F-CONV-A-S"].to_json()["metadata"]["inherited_from_source"]


def test_a_model_that_is_damaged_is_not_its_conversions_fault(results):
    entries = results("NaN in all")[1]
    failed = {gate for gate, entry in entries.items() if entry.outcome is not Outcome.CORROBORATED}
    assert failed == {"G0-VALIDATE-001"}


@pytest.mark.slow
def test_texts_that_nobody_compared_are_not_the_same(results):
    entry = results("no text")[1]["F-GOLDEN-RULE-001"]
    assert entry.outcome is Outcome.SKIPPED
    assert "could not check text of SafeTensors to APR: text: the source has no tokens" in entry.reason
    # The rest of the level needs no text.
    assert results("no text")[1]["F-CONTRACT-I1-001"].outcome is Outcome.CORROBORATED


@pytest.mark.slow
def test_undecided_texts_are_counted_apart_from_equal_ones(results):
    entry = results("it runs in 4 bits")[1]["F-GOLDEN-RULE-001"]
    assert entry.outcome is Outcome.CORROBORATED
    words = (
        r"same in 0 of 3 texts, and differ first where the checkpoint itself is undecided in 3; mean KLD .* \(as Q4_0\)"
    )
    assert re.search(words, entry.reason)
    assert entry.details["texts"] == {"tie": 3} and entry.details["band"][0].endswith("(as Q4_0)")
