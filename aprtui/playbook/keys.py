"""The keys of playbooks: apr-qa's as far as aprtui reads them, and aprtui's own.

This is the one table: loading, complaints, the JSON schema and the list in docs/playbooks.md all follow it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from aprtui.core.gate_table import CONVERSION_PAIRS
from aprtui.core.gates import FormatLetter
from aprtui.core.scenarios import Backend, Modality, OracleKind, Oracles, OracleSettings, SpeedLimits
from aprtui.playbook.scalars import (
    COUNT_SCHEMA,
    Count,
    FailurePolicy,
    Flag,
    FormatName,
    GateId,
    Invariant,
    LevelName,
    LocalPath,
    Name,
    Number,
    Repository,
    SizeCategory,
    Text,
    Version,
    as_list,
)

DEFAULT = "default"
"""Key of `aprtui.outtype` for all pairs that it does not name."""

OUTTYPE_KEYS = (DEFAULT, *(gate.gate_id for gate in CONVERSION_PAIRS))
_LIST = BeforeValidator(as_list)


class Use(StrEnum):
    """A mark on keys that are read and checked, but have no effect yet."""

    LATER = "not used by this version of aprtui"


class Section(BaseModel):
    """A mapping in a playbook.

    Attributes:
        not_for_aprtui: Keys that apr-qa knows and that have no meaning here.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)
    not_for_aprtui: ClassVar[frozenset[str]] = frozenset()


class PlaybookModel(Section):
    """The model that a playbook names."""

    hf_repo: Repository
    """Repository on Hugging Face, `org/name`."""
    local_path: LocalPath | None = None
    """Where the model lies; relative to the playbook. Without it, the Hugging Face cache is searched."""
    formats: Annotated[tuple[FormatName, ...], _LIST, Field(min_length=1)] = tuple(FormatLetter)
    """Formats that take part; every pair of them is a gate. All three by default."""
    quantizations: Annotated[tuple[Text, ...], _LIST, Use.LATER] = ()
    """Quantised files that apr-qa tests. Not output types: those are `aprtui.outtype`."""
    size_category: Annotated[SizeCategory | None, Use.LATER] = None
    """Class of the model by size."""
    family: Annotated[Text | None, Use.LATER] = None
    """Architecture, as apr names it."""
    size_variant: Annotated[Text | None, Use.LATER] = None
    """Size within the family, `0.5b`."""
    expected_hidden_dim: Count | None = None
    """Width of the residual stream that the model must have."""
    expected_num_layers: Count | None = None
    """Number of layers that the model must have."""
    expected_num_heads: Count | None = None
    """Query heads that the model must have."""
    expected_num_kv_heads: Count | None = None
    """Key and value heads that the model must have."""
    expected_vocab_size: Count | None = None
    """Rows of the embedding that the model must have."""
    expected_intermediate_dim: Count | None = None
    """Width of the feed-forward layer that the model must have."""

    @property
    def expected(self) -> dict[str, int]:
        """What the model's configuration must state, by canonical key."""
        numbers = {
            "hidden_size": self.expected_hidden_dim,
            "num_hidden_layers": self.expected_num_layers,
            "num_attention_heads": self.expected_num_heads,
            "num_key_value_heads": self.expected_num_kv_heads,
            "vocab_size": self.expected_vocab_size,
            "intermediate_size": self.expected_intermediate_dim,
        }
        return {key: number for key, number in numbers.items() if number is not None}


class TestMatrix(Section):
    """Scenarios of apr-qa."""

    __test__: ClassVar[bool] = False  # not a test class for pytest

    # Decoding is greedy: a prompt that is repeated is answered alike.
    not_for_aprtui = frozenset({"scenario_count"})

    modalities: Annotated[tuple[Modality, ...], _LIST] = tuple(Modality)
    """How the model is talked to; `serve` has no gates."""
    backends: Annotated[tuple[Backend, ...], _LIST] = tuple(Backend)
    """What it runs on."""
    seed: Count = 0
    """Seed of the scenarios; evidence repeats it."""
    timeout_ms: Annotated[int, Field(ge=1, le=1 << 31), WithJsonSchema(COUNT_SCHEMA)] | None = None
    """Longest time of one prompt in an engine, in milliseconds."""
    prompts: Annotated[tuple[Text, ...], _LIST] = ()
    """Prompts of the scenarios, each of which is run once in every engine; tokenizers are tried on them, too, and
    models where behaviour is a level."""


class Gateways(Section):
    """apr-qa's gateways of scenarios; each is planned unless it says no."""

    g1_model_loads: Flag = True
    """`G1-LOAD`."""
    g2_basic_inference: Flag = True
    """`G2-BASIC`."""
    g3_no_crashes: Flag = True
    """`G3-STABLE`."""
    g4_output_quality: Flag = True
    """`G4-VALID`."""

    @property
    def left_out(self) -> dict[str, str]:
        """Gates that it says no to, with the key."""
        keys = {"G1-LOAD": "g1_model_loads", "G2-BASIC": "g2_basic_inference"}
        keys |= {"G3-STABLE": "g3_no_crashes", "G4-VALID": "g4_output_quality"}
        return {gate: f"gates.{key}" for gate, key in keys.items() if not getattr(self, key)}


class OracleConfig(Section):
    """Settings of an oracle."""

    not_for_aprtui = frozenset({"languages", "min_relevance"})

    tolerance: Number = 0.01
    """Largest relative error of a result that a text states, where it is no whole number."""
    max_repetition_ratio: Number = 0.3
    """Largest share of one word among the words of a text."""
    min_unique_chars: Count = 10
    """Fewest different characters of a text of 40 characters or more."""


class OracleKeys(Section):
    """An oracle on generated text."""

    type: OracleKind
    """Which one."""
    config: OracleConfig = OracleConfig()
    """Its settings."""


class SpeedKeys(Section):
    """Thresholds of throughput and of the time of one token."""

    min_throughput: Number | None = None
    """Fewest tokens per second on any backend."""
    min_throughput_cpu: Number | None = None
    """Fewest tokens per second on the CPU."""
    min_throughput_gpu: Number | None = None
    """Fewest tokens per second on a GPU."""
    max_p50_ms: Number | None = None
    """Longest median time of one token, in milliseconds."""
    max_p99_ms: Number | None = None
    """Longest time of 99 % of the tokens, in milliseconds."""

    @property
    def limits(self) -> SpeedLimits:
        """As gates take them."""
        named = {Backend.CPU: self.min_throughput_cpu, Backend.GPU: self.min_throughput_gpu}
        least = {backend.value: self.min_throughput if own is None else own for backend, own in named.items()}
        known = {backend: limit for backend, limit in least.items() if limit is not None}
        return SpeedLimits(known, self.max_p50_ms, self.max_p99_ms)


class Profile(Section):
    """How fast engines generate, and how fast they have to."""

    not_for_aprtui = frozenset({"gates"})

    enabled: Flag = True
    """Whether it is measured."""
    warmup: Annotated[int, Field(ge=0, le=1000), WithJsonSchema(COUNT_SCHEMA)] = 3
    """Runs that do not count."""
    measure: Annotated[int, Field(ge=1, le=1000), WithJsonSchema(COUNT_SCHEMA)] = 10
    """Runs that count."""
    formats: Annotated[tuple[FormatName, ...], _LIST] = tuple(FormatLetter)
    """Formats whose files are run."""
    backends: Annotated[tuple[Backend, ...], _LIST] = tuple(Backend)
    """What they run on."""
    assertions: SpeedKeys = SpeedKeys()
    """Thresholds."""


class ContractTests(Section):
    """Format contracts of apr-qa."""

    invariants: Annotated[tuple[Invariant, ...], _LIST] = ()
    """Invariants to check, `I-1` to `I-5`; all of them by default. `I-1` runs models and is planned where behaviour
    is a level."""


class InferenceCompare(Section):
    """Comparison of a model's answers in two formats."""

    not_for_aprtui = frozenset({"gates"})

    enabled: Annotated[Flag, Use.LATER] = True
    """Whether it takes part."""
    prompt: Annotated[Text | None, Use.LATER] = None
    """What the model is asked."""
    max_tokens: Annotated[Count, Use.LATER] = 10
    """Tokens of the answer."""
    tolerance: Annotated[Number, Use.LATER] = 1e-5
    """Largest difference of two logits in a lossless conversion."""


class DifferentialTests(Section):
    """Comparisons between formats."""

    not_for_aprtui = frozenset({"fingerprint", "format_validation", "tensor_diff", "validate_stats"})

    inference_compare: InferenceCompare | None = None
    """Comparison of answers."""


class Tolerance(Section):
    """Tolerances of lossy conversions, in place of aprtui's own."""

    model_config = ConfigDict(extra="forbid")

    ulp: Number | None = None
    """Largest difference of a rounded value, in ULP of the target."""
    scale_ulp: Number | None = None
    """Largest difference of a block's scale from its formula, in ULP of its type."""
    rmse_ratio: Number | None = None
    """Largest error of a block over what plain encoding of its type guarantees."""
    kld_factor: Number | None = None
    """Largest KL divergence, and top-1 disagreement, over those of the expected-loss twin."""


def _one_for_all(value: object) -> object:
    """One word is the output type of all pairs."""
    return {DEFAULT: value} if isinstance(value, str) else value


def _outtype_key(value: object) -> object:
    if value not in OUTTYPE_KEYS:
        raise ValueError(f"{value!r} is no conversion; use {', '.join(OUTTYPE_KEYS)}")
    return value


_OUTTYPE_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {"type": "object", "propertyNames": {"enum": list(OUTTYPE_KEYS)}, "additionalProperties": {"type": "string"}},
    ]
}
Outtypes = Annotated[
    Mapping[Annotated[str, BeforeValidator(_outtype_key)], Text],
    BeforeValidator(_one_for_all),
    WithJsonSchema(_OUTTYPE_SCHEMA),
]


class AprtuiKeys(Section):
    """Keys of aprtui's own. Unlike apr-qa's, an unknown one is an error."""

    model_config = ConfigDict(extra="forbid")

    outtype: Outtypes = Field(default_factory=dict)
    """Output type that conversions are asked for, as in `aprtui convert --outtype`: one for all pairs, or a mapping
    from `default` and ids of pairs (`F-CONV-S-G`) to output types. A default that SafeTensors cannot hold leaves pairs
    to SafeTensors lossless. Without it every conversion is lossless."""
    levels: Annotated[tuple[LevelName, ...], _LIST] = ()
    """Levels to check; all but `behaviour` by default, which runs both models. The evidence names those left out."""
    tensors: Annotated[tuple[Text, ...], _LIST] = ()
    """Patterns of canonical tensor names (`*.mlp.*`); only these are compared. A gate that compared a part is at best
    Skipped."""
    allow_skip: Annotated[tuple[GateId, ...], _LIST] = ()
    """Ids of gates that may be Skipped without exit code 5."""
    tolerance: Tolerance = Tolerance()
    """Tolerances of lossy conversions, in place of aprtui's own."""


class PlaybookKeys(Section):
    """A playbook that names a model to qualify."""

    not_for_aprtui = frozenset(
        {
            *("description", "property_tests", "falsification_gates"),
            *("trace_payload", "ollama_parity", "kernel_profile", "metadata", "state_machine"),
            *("mvp_matrix", "verification_tests"),
        }
    )

    name: Name
    """Name of the playbook, and of the folder that its evidence is written to."""
    version: Version = ""
    """Version of the playbook; evidence repeats it."""
    model: PlaybookModel
    """The model."""
    test_matrix: TestMatrix = TestMatrix()
    """Scenarios; they run models, where behaviour is a level."""
    gates: Gateways = Gateways()
    """Gateways of the scenarios."""
    oracles: Annotated[tuple[OracleKeys, ...], _LIST] = ()
    """Oracles that judge what a scenario says; all that suit a prompt by default, and garbage in any case."""
    profile_ci: Profile | None = None
    """How fast engines generate; measured where behaviour is a level."""
    differential_tests: DifferentialTests = DifferentialTests()
    """Comparisons between formats."""
    contract_tests: ContractTests = ContractTests()
    """Format contracts."""
    failure_policy: FailurePolicy = FailurePolicy.COLLECT_ALL
    """When apr-qa stops. Here every gate runs, whatever became of the others; anything but `collect_all` is overruled
    with a notice."""
    aprtui: AprtuiKeys = AprtuiKeys()
    """Keys of aprtui's own."""

    @property
    def asked_oracles(self) -> Oracles:
        """The oracles as scenarios take them."""
        settings = {
            one.type.value: OracleSettings(
                one.config.tolerance, one.config.max_repetition_ratio, one.config.min_unique_chars
            )
            for one in self.oracles
        }
        return Oracles(tuple(dict.fromkeys(one.type for one in self.oracles)), settings)
