"""The table of gates. There is no gate without a row; docs/gates.md is generated from it.

Ids are apr-qa's. Several of them are never reached upstream, or are decided by words in standard output: what they mean
here stands in each row.
"""

from __future__ import annotations

from collections.abc import Mapping

from aprtui.core.gates import FORMAT_TITLES, FormatLetter, Gate, GateFamily, GateSeverity
from aprtui.core.outcomes import Level
from aprtui.core.scenario_gates import SCENARIO_GATES

_EVERY_LEVEL = tuple(Level)
_PRODUCTS = "every product of a planned pair, compared with its source"
_KEYWORDS = "upstream sorts failures by words in standard error and never runs this as a check"
_CONTRACT = "the conversion SafeTensors to APR"

_S, _G, _A = FormatLetter.SAFETENSORS, FormatLetter.GGUF, FormatLetter.APR


def _pair(source: FormatLetter, target: FormatLetter) -> Gate:
    return Gate(
        f"F-CONV-{source}-{target}",
        f"{FORMAT_TITLES[source]} converted to {FORMAT_TITLES[target]}",
        GateFamily.PAIR,
        (f"{source}{target}",),
        _EVERY_LEVEL,
        GateSeverity.P0,
        "the product and its source; the product and the run's model, where that is not the source",
        "every level holds: the product's tensors equal the source's under the layout rules and tolerances, and "
        "nothing fails against the model that the source does not show already",
        "compares stored weights, metadata and tokenizer; upstream compared standard output, and spells the id of a "
        "pass another way",
    )


def _round_trip(number: int, route: str) -> Gate:
    return Gate(
        f"F-CONV-RT-{number:03}",
        " to ".join(FORMAT_TITLES[FormatLetter(letter)] for letter in route),
        GateFamily.ROUND_TRIP,
        (route,),
        _EVERY_LEVEL,
        GateSeverity.P1,
        "the product of every hop and its source; the last product and the first source",
        "every level of every hop holds, and the end equals the narrowest type on the way, decoded; the first hop "
        "where a tensor changed is named",
        "runs the chain as it is listed; upstream adds a hop at its end, and passes on any text that is not garbage",
    )


def _two_routes(gate_id: str, title: str, routes: tuple[str, str], pass_rule: str, unlike: str) -> Gate:
    return Gate(
        gate_id,
        title,
        GateFamily.TWO_ROUTES,
        routes,
        _EVERY_LEVEL,
        GateSeverity.P0,
        "both products",
        pass_rule,
        unlike,
    )


def _content(name: str, title: str, levels: tuple[Level, ...], pass_rule: str, unlike: str) -> Gate:
    return Gate(
        f"F-CONV-{name}-001",
        title,
        GateFamily.CONTENT,
        (),
        levels,
        GateSeverity.P0,
        _PRODUCTS,
        pass_rule,
        unlike,
    )


def _contract(number: int, title: str, levels: tuple[Level, ...], pass_rule: str, unlike: str) -> Gate:
    return Gate(
        f"F-CONTRACT-I{number}-001",
        title,
        GateFamily.CONTRACT,
        ("SA",),
        levels,
        GateSeverity.P0,
        _CONTRACT,
        pass_rule,
        unlike,
    )


def _golden(number: int, title: str, levels: tuple[Level, ...], pass_rule: str, unlike: str) -> Gate:
    family, severity = GateFamily.CONTRACT, GateSeverity.P0
    gate_id = f"F-GOLDEN-RULE-{number:03}"
    return Gate(gate_id, title, family, ("SA",), levels, severity, _CONTRACT, pass_rule, unlike)


def _gateway(
    name: str,
    title: str,
    levels: tuple[Level, ...],
    pass_rule: str,
    unlike: str,
    *,
    inputs: str = "the run's model alone",
    routes: tuple[str, ...] = (),
    severity: GateSeverity = GateSeverity.P0,
) -> Gate:
    return Gate(f"G0-{name}", title, GateFamily.GATEWAY, routes, levels, severity, inputs, pass_rule, unlike)


CONVERSION_PAIRS: tuple[Gate, ...] = tuple(
    _pair(source, target) for source, target in ((_S, _G), (_S, _A), (_G, _S), (_A, _S), (_A, _G), (_G, _A))
)
"""The six pairs."""

ROUND_TRIPS: tuple[Gate, ...] = tuple(
    _round_trip(number, route) for number, route in enumerate(("GASG", "SAGS", "SAGAS", "SAGA"), start=1)
)

_TWO_ROUTES: tuple[Gate, ...] = (
    _two_routes(
        "F-CONV-RT-BYTE-001",
        "APR from SafeTensors, and the same by way of GGUF",
        ("SA", "SAGA"),
        "tensors of one type hold the same bytes, others what the narrowest type on the way decodes to; metadata and "
        "tokenizer are equal",
        "upstream looks for a word in the output of `apr rosetta diff-tensors`, which every real answer contains",
    ),
    _two_routes(
        "F-CONV-IDEM-001",
        "GGUF converted to APR twice",
        ("GA", "GA"),
        "both products hold the same tensors in the same bytes, the same metadata and the same tokenizer; both are "
        "converted anew",
        "upstream passes if both products answer with text that is not garbage",
    ),
    _two_routes(
        "F-CONV-COM-001",
        "APR from GGUF, directly and by way of SafeTensors",
        ("GA", "GSA"),
        "tensors of one type hold the same bytes, others the same values as far as the types allow; metadata and "
        "tokenizer are equal; both are converted anew",
        "upstream passes if both products answer with text that is not garbage",
    ),
)

_CONTENT: tuple[Gate, ...] = (
    _content(
        "CARD",
        "Number of tensors",
        (Level.STRUCTURE,),
        "every product holds as many tensors as its source under the layout rules: none is missing, none is new",
        "upstream asks for at least as many, of a file that it looks for in the wrong place",
    ),
    _content(
        "NAME",
        "Names of tensors",
        (Level.STRUCTURE,),
        "every tensor of the source is there under the name that llama.cpp, transformers or apr looks for",
        "upstream compares lists of names that it never gets to read",
    ),
    _content(
        "SHAPE",
        "Shapes of tensors",
        (Level.STRUCTURE,),
        "every tensor has the shape that the layout rule gives it",
        "declared upstream, reached by no rule",
    ),
    _content(
        "EMBED",
        "Token embedding and output matrix",
        (Level.STRUCTURE, Level.WEIGHTS),
        "embedding and head are there, in their shape, and every element holds",
        "upstream guesses from words in the answer that the embedding was transposed; never called",
    ),
    _content(
        "WEIGHT",
        "Weights",
        (Level.WEIGHTS,),
        "every element of every tensor holds under the tolerance of its conversion",
        "upstream calls an empty answer corrupted weights; never called",
    ),
    _content(
        "TOK",
        "Tokenizers",
        (Level.TOKENIZER,),
        "every product turns text into the ids of its source, as far as both say how",
        "upstream looks for PMAT-172 in standard error; never called",
    ),
    _content(
        "SEMANTIC",
        "What products answer",
        (Level.BEHAVIOUR,),
        "logits and greedy tokens of every product are its source's within what its types cost",
        "upstream looks for the digit 4 in the answer; never called",
    ),
    _content(
        "INFER",
        "Products run",
        (Level.BEHAVIOUR,),
        "every product can be run, and gives finite logits",
        _KEYWORDS,
    ),
    _content(
        "CONFIG",
        "Configuration",
        (Level.METADATA,),
        "every product states what its source states, and the model has the dimensions that the playbook expects",
        _KEYWORDS,
    ),
    _content(
        "DEQUANT",
        "Values of quantised sources",
        (Level.WEIGHTS,),
        "what a source stores in blocks, a product holds as the same blocks or as their exact values",
        _KEYWORDS,
    ),
    _content(
        "MISSING",
        "Products",
        (Level.INTEGRITY,),
        "every conversion that was run left a product that can be opened",
        _KEYWORDS,
    ),
)

_CONTRACTS: tuple[Gate, ...] = (
    _contract(
        1,
        "I-1: the APR answers as the checkpoint does",
        (Level.BEHAVIOUR,),
        "logits are equal, bit for bit where nothing was lost; where types lose something, within what they cost",
        "the golden rule upstream, which compares two texts, empty ones too, and never writes this id",
    ),
    _contract(
        2,
        "I-2: names of tensors",
        (Level.STRUCTURE,),
        "the APR holds every tensor of the checkpoint and no other, a tied head aside",
        "upstream reads no names from an answer with blanks in it and passes on none",
    ),
    _contract(
        3,
        "I-3: no silent fallback",
        (Level.INTEGRITY, Level.STRUCTURE),
        "every tensor of the APR has a type that was asked for, and the file is whole",
        "upstream looks for words in the output of `apr check`",
    ),
    _contract(
        4,
        "I-4: statistics of tensors",
        (Level.WEIGHTS,),
        "every element holds under the tolerance of its conversion, and with the elements mean, deviation and extremes",
        'upstream looks for the word "passed", which `"passed": false` contains',
    ),
    _contract(
        5,
        "I-5: tokens of the APR",
        (Level.TOKENIZER,),
        "the APR turns text into the checkpoint's ids",
        "upstream compares one generated token, by a spelling of JSON that the real answer does not have",
    ),
)

_GOLDEN: tuple[Gate, ...] = (
    _golden(
        1,
        "The APR says what the checkpoint says",
        (Level.BEHAVIOUR,),
        "greedy tokens are the same, or differ first where the checkpoint itself is undecided",
        "upstream compares the lines behind `Output:`, of which two may be missing",
    ),
    _golden(
        2,
        "The conversion for the golden rule works",
        (Level.INTEGRITY,),
        "the conversion left an APR that can be opened",
        "written upstream only as a failure",
    ),
    _golden(
        3,
        "The APR runs",
        (Level.BEHAVIOUR,),
        "the APR can be run, and gives finite logits",
        "written upstream only as a failure",
    ),
)

_GATEWAYS: tuple[Gate, ...] = (
    _gateway(
        "PULL-001",
        "The model is here",
        (),
        "it was found, every file that it names is there, and all of them could be read; otherwise Crashed",
        "upstream reads a path from the output of `apr pull` and ends the run where there is none",
    ),
    _gateway(
        "VALIDATE-001",
        "The model's weights are sound",
        (Level.INTEGRITY,),
        "offsets and sizes fit, no value is NaN or infinite, no matrix is all zeros",
        "upstream believes the exit code of `apr validate`, and passes without any file",
    ),
    _gateway(
        "TENSOR-001",
        "The model has the tensors of its architecture",
        (Level.STRUCTURE,),
        "every tensor that transformers' class of this architecture has is there, in every layer",
        "upstream reads the first shard, and records an unknown family as a pass",
    ),
    _gateway(
        "INTEGRITY-CONFIG",
        "config.json and tensors agree",
        (Level.METADATA, Level.INTEGRITY),
        "config.json can be read, and layers, width and vocabulary are those of the tensors",
        "values that are missing on one side count as agreement upstream; here they are Skipped",
    ),
    _gateway(
        "INTEGRITY-LAYERS",
        "Number of layers",
        (Level.INTEGRITY,),
        "num_hidden_layers is the highest layer of a tensor's name, plus one",
        "not compared upstream where it is missing; Skipped here",
    ),
    _gateway(
        "INTEGRITY-HIDDEN",
        "Width",
        (Level.INTEGRITY,),
        "hidden_size is the width of the embedding",
        "not compared upstream where it is missing; Skipped here",
    ),
    _gateway(
        "INTEGRITY-VOCAB",
        "Vocabulary",
        (Level.INTEGRITY,),
        "vocab_size is the number of rows of the embedding",
        "not compared upstream where it is missing; Skipped here",
    ),
    _gateway(
        "LAYOUT-001",
        "Shapes of the model's tensors",
        (Level.STRUCTURE,),
        "every matrix has the shape that the configuration gives it",
        "takes head_dim from the configuration, which upstream ignores; no rule applied is no pass",
    ),
    _gateway(
        "LAYOUT-CRITICAL",
        "Shape of embedding and head",
        (Level.STRUCTURE,),
        "embedding and output matrix have one row per token, each as wide as hidden_size",
        "upstream writes this only as a failure",
    ),
    _gateway(
        "FORMAT-GGUF-001",
        "The GGUF that pairs start from",
        _EVERY_LEVEL,
        "there is one, and every level holds",
        "upstream believes the exit code of its own conversion",
        inputs="the GGUF, given, found or converted, compared with the run's model",
        routes=("SG",),
    ),
    _gateway(
        "FORMAT-APR-001",
        "The APR that pairs start from",
        _EVERY_LEVEL,
        "there is one, and every level holds",
        "upstream believes the exit code of its own conversion",
        inputs="the APR, given, found or converted, compared with the run's model",
        routes=("SA",),
    ),
    _gateway(
        "FORMAT-WORKSPACE-001",
        "Room for products",
        (),
        "it can be written and has room for what is there at one time; otherwise Crashed, and nothing is converted",
        "upstream writes this only as a failure, and never looks at the space",
        inputs="the directory for products",
        severity=GateSeverity.P2,
    ),
)

GATES: Mapping[str, Gate] = {
    gate.gate_id: gate
    for gate in (
        *_GATEWAYS,
        *CONVERSION_PAIRS,
        *ROUND_TRIPS,
        *_TWO_ROUTES,
        *_CONTENT,
        *_CONTRACTS,
        *_GOLDEN,
        *SCENARIO_GATES,
    )
}
"""Every gate by its id, in the order in which a run judges them."""


def gate_of(gate_id: str) -> Gate:
    """The row of a gate, or what can be said of one that evidence or a plan of another version names."""
    unknown = "not known to this version"
    found = GATES.get(gate_id)
    return found or Gate(gate_id, gate_id, GateFamily.OTHER, (), (), GateSeverity.P1, unknown, unknown, unknown)
