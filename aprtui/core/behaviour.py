"""What two models do, as plain facts: logits, layers, generated tokens.

Metrics are those of llama.cpp's `llama-perplexity --kl-divergence`; directions are source to target, natural logarithm.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import isinf

KLD_FACTOR = 1.25
"""How much more than its expected-loss twin a product may diverge, besides three standard errors."""

LAYER_FACTOR = 2.0
"""A layer diverges where its own NMSE is beyond this many times its twin's."""

LAYER_FLOOR = 1e-9
"""NMSE below which a layer of a lossy conversion counts as float32 arithmetic: about a hundred roundings."""


@dataclass(frozen=True, slots=True)
class LogitStatistics:
    """How one model's logits differ from the source's on the same token ids.

    Attributes:
        positions: Positions that were compared.
        tokens: Logits per position.
        differing: Logits that are not equal bit for bit.
        mean_kld: Mean over positions of sum p_source (ln p_source - ln p_target), in nats.
        mean_kld_se: Its standard error.
        median_kld: Median over positions.
        kld_99: 99th percentile.
        kld_999: 99.9th percentile.
        max_kld: Largest.
        top1_agreement: Share of positions whose most probable token is the same.
        top1_agreement_se: Its standard error (binomial).
        top10_overlap: Mean share of the ten most probable tokens that both have.
        rms_delta_p: Root mean square of p_target - p_source of the token that follows, 0 to 1.
        rms_delta_p_se: Its standard error.
        source_ppl: Perplexity of the texts under the source.
        target_ppl: Under the other model.
        ln_ppl_ratio_se: Standard error of ln(target_ppl / source_ppl).
        max_abs_delta: Largest difference of two logits.
        nmse: Sum of squared differences over the sum of squared source logits.
    """

    positions: int
    tokens: int
    differing: int
    mean_kld: float
    mean_kld_se: float
    median_kld: float
    kld_99: float
    kld_999: float
    max_kld: float
    top1_agreement: float
    top1_agreement_se: float
    top10_overlap: float
    rms_delta_p: float
    rms_delta_p_se: float
    source_ppl: float
    target_ppl: float
    ln_ppl_ratio_se: float
    max_abs_delta: float
    nmse: float

    @property
    def ppl_ratio(self) -> float:
        """Perplexity of the other model over the source's."""
        return self.target_ppl / self.source_ppl if self.source_ppl else float("nan")


@dataclass(frozen=True, slots=True)
class Excess:
    """How far a product is beyond its twin, position by position.

    Attributes:
        kld: Mean of the product's KL divergence less `KLD_FACTOR` times the twin's.
        kld_se: Standard error of that mean.
        top1: Mean disagreement of the most probable token, less the factor times the twin's.
        top1_se: Standard error of that mean.
    """

    kld: float
    kld_se: float
    top1: float
    top1_se: float


@dataclass(frozen=True, slots=True)
class PromptLogits:
    """One text.

    Attributes:
        text: The text.
        ids: Its tokens.
        mean_kld: Mean KL divergence over its positions.
        max_kld: Largest.
        worst: The position of the largest.
        top1_disagreements: Positions whose most probable token differs.
    """

    text: str
    ids: tuple[int, ...]
    mean_kld: float
    max_kld: float
    worst: int
    top1_disagreements: int


@dataclass(frozen=True, slots=True)
class ErrorMeasure:
    """A tensor of one model against the same tensor of the source.

    Attributes:
        nmse: Sum of squared differences over the sum of squared source values.
        cosine_distance: 1 - cosine.
        max_abs: Largest difference.
    """

    nmse: float
    cosine_distance: float
    max_abs: float


@dataclass(frozen=True, slots=True)
class LayerError:
    """Errors of one part of the model.

    Attributes:
        unit: Name of the layer, or of the embedding, the last norm or the head.
        block: Name of a module inside the layer ("self_attn"); empty for the whole unit.
        own: The error of its output when it is fed what the source fed its own.
        inherited: The error in the model's own chain.
        twin_own: The own error of the expected-loss twin; None without one.
        one_sided: Only one of the models has this part.
    """

    unit: str
    block: str
    own: ErrorMeasure
    inherited: ErrorMeasure
    twin_own: float | None = None
    one_sided: bool = False

    @property
    def name(self) -> str:
        """The unit, and the module inside it where it is one."""
        return f"{self.unit}.{self.block}" if self.block else self.unit

    @property
    def limit(self) -> float:
        """The largest own NMSE that is no divergence; 0 where nothing may differ."""
        return 0.0 if self.twin_own is None else max(LAYER_FACTOR * self.twin_own, LAYER_FLOOR)

    @property
    def diverges(self) -> bool:
        """Whether its own error is more than a conversion explains."""
        return not self.own.nmse <= self.limit  # NaN diverges.


class TextMode(StrEnum):
    """How the tokens of a text came about.

    Attributes:
        GREEDY: Each model went on from its own tokens.
        FORCED: Both models were given the same stored tokens, and each token is their answer to those before it.
    """

    GREEDY = "greedy"
    FORCED = "teacher-forced"


class TextVerdict(StrEnum):
    """What became of a generated text."""

    EQUAL = "equal"
    TIE = "tie"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class TextComparison:
    """What two models say about one prompt.

    Attributes:
        prompt: The prompt; with stored tokens the text that both models were given.
        source: Tokens of the source, as text.
        target: Tokens of the target, as text.
        source_ids: Ids that the source generated; with stored tokens its most probable id behind each of them.
        target_ids: The same of the target.
        first_difference: Position of the first id that differs, with stored tokens of the first that no tie explains
            if there is one; None where all are equal.
        margin: By how much the source's logit of its token is above its second best there.
        limit: The largest margin that what the conversion may change explains.
        verdict: Equal, a tie, or wrong.
        mode: How the tokens came about.
    """

    prompt: str
    source: str
    target: str
    source_ids: tuple[int, ...]
    target_ids: tuple[int, ...]
    first_difference: int | None
    margin: float | None
    limit: float
    verdict: TextVerdict
    mode: TextMode = TextMode.GREEDY

    @property
    def word(self) -> str:
        """The verdict in a word: a difference is no tie where there is no twin to say how far it may go."""
        is_open = self.verdict is TextVerdict.TIE and isinf(self.limit)
        return "open" if is_open else self.verdict.value


@dataclass(frozen=True, slots=True)
class TokenSwap:
    """The 2x2 test: {source's tokens, target's tokens} x {source's weights, target's weights}, as perplexity per byte.

    Bits per byte make texts with different tokens comparable. The tokens are at fault where the columns differ, the
    weights where the rows do.

    Attributes:
        source_tokens_source_weights: Bits per byte.
        source_tokens_target_weights: Bits per byte.
        target_tokens_source_weights: Bits per byte.
        target_tokens_target_weights: Bits per byte.
    """

    source_tokens_source_weights: float
    source_tokens_target_weights: float
    target_tokens_source_weights: float
    target_tokens_target_weights: float


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Everything that was measured of two models' behaviour.

    Attributes:
        runtime: What ran them.
        lossless: Nothing that was stored loses anything: logits must be equal bit for bit.
        twin_types: Types of the expected-loss twin; empty where it is the source itself.
        target: The product's logits against the source's.
        twin: The twin's; None where it is the source itself, or there is none.
        floor: The source's own, on another code path; None where there is none.
        excess: Product against twin, position by position.
        equals_twin: The product's logits equal the twin's (the source's, where it is the twin) bit for bit.
        prompts: Each text, worst first.
        layers: Every part in order of execution.
        texts: Generated texts.
        swap: The 2x2 test, where tokens differ.
        llama_cpp: llama.cpp's logits of the product against the reference's of the same file, on a few texts: what an
            engine makes of it. None where it was not asked.
        seconds: Wall time.
        peak_bytes: Peak memory of this process.
        not_checked: What could not be measured, with the reason.
        llama_refused: Why llama.cpp does not run the product, where that lies in the file; empty where it does.
        other_tokens: The product has logits of more or fewer tokens than it should, in words; empty where it has not.
        same_arithmetic: Both models ran in the same runtime on the same processor; golden logits may come from another.
    """

    runtime: str
    lossless: bool
    twin_types: tuple[str, ...]
    target: LogitStatistics
    twin: LogitStatistics | None
    floor: LogitStatistics | None
    excess: Excess | None
    equals_twin: bool
    prompts: tuple[PromptLogits, ...]
    layers: tuple[LayerError, ...]
    texts: tuple[TextComparison, ...]
    swap: TokenSwap | None
    llama_cpp: LogitStatistics | None
    seconds: float
    peak_bytes: int
    not_checked: tuple[str, ...] = ()
    same_arithmetic: bool = True
    llama_refused: str = ""
    other_tokens: str = ""

    @property
    def first_divergence(self) -> LayerError | None:
        """The first part whose own error is more than the conversion explains: inside a layer, the first module.

        Where logits must equal the twin's bit for bit, so must every part: then any other error than the twin's counts.
        """
        found = next((error for error in self.layers if error.diverges), None)
        if found is None and self.lossless and not self.equals_twin:
            found = next((error for error in self.layers if error.own.nmse != (error.twin_own or 0.0)), None)
        return found

    @property
    def wrong_texts(self) -> tuple[TextComparison, ...]:
        """Texts whose first difference no tie explains."""
        return tuple(text for text in self.texts if text.verdict is TextVerdict.WRONG)


def other_tokens(found: int, expected: int) -> str:
    """What `Behaviour.other_tokens` says of a product with logits of so many tokens."""
    if found == expected:
        return ""
    both = min(found, expected)
    return f"its logits are of {found} tokens and not of {expected}; those of the first {both} are compared"


def judge_text(margin: float, limit: float) -> TextVerdict:
    """A first difference: a tie where the source's margin there is within what the conversion may change.

    Two logits that each move by at most d change places only where they are at most 2 d apart. What is no number
    explains nothing.
    """
    return TextVerdict.TIE if margin <= limit else TextVerdict.WRONG


BANDS = (
    (1e-4, "as a cast"),
    (2e-3, "as Q8_0"),
    (8e-3, "as Q6_K"),
    (2e-2, "as Q5_K_M"),
    (5e-2, "as Q4_K_M"),
    (1e-1, "as Q4_0"),
    (0.2, "as Q3_K"),
    (0.5, "as Q2_K"),
)
"""Published mean KLD of whole models by type (llama.cpp's scoreboard, Llama 2 and 3), about 1.5 times the worse one.

They colour a figure and decide nothing: small models and short texts lie elsewhere.
"""


def band(mean_kld: float) -> str:
    """The name of the band that a mean KLD lies in."""
    return next((name for limit, name in BANDS if mean_kld < limit), "worse than Q2_K")
