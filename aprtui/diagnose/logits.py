"""How far the logits are off as the product is, and under the repairs: the repaired model is written aside and run."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from aprtui.compare.comparison import Scope, compare_models
from aprtui.core.behaviour import Behaviour
from aprtui.core.diagnosis import Diagnosis
from aprtui.core.errors import AprtuiError
from aprtui.core.outcomes import Level
from aprtui.diagnose.onion import Explained
from aprtui.diagnose.repair import write_repaired
from aprtui.formats.container import Format
from aprtui.formats.model import Model, open_model

_NAMES = {Format.GGUF: "repaired.gguf", Format.APR: "repaired.apr", Format.SAFETENSORS: "repaired"}


def with_logits(
    source: Model, target: Model, explained: Explained, behaviour: Behaviour | None, scope: Scope
) -> Diagnosis:
    """The diagnosis with mean KL divergences before and after the repair, where both could be measured.

    Args:
        source: A.
        target: B.
        explained: The diagnosis of B.
        behaviour: What B does as it is; None where it cannot run.
        scope: The scope of the comparison.
    """
    diagnosis = explained.diagnosis
    if Level.BEHAVIOUR not in scope.levels or not diagnosis.causes:
        return diagnosis
    before = None if behaviour is None else behaviour.target.mean_kld
    try:
        with tempfile.TemporaryDirectory(prefix="aprtui-") as folder:
            path = Path(folder) / _NAMES[target.format]
            write_repaired(source, target, explained, path, asked_for=scope.asked_for)
            again = compare_models(source, open_model(path), replace(scope, levels=(Level.BEHAVIOUR,), via=()))
    except AprtuiError:
        return replace(diagnosis, kld_before=before)  # What cannot be written cannot be run.
    after = None if again.behaviour is None else again.behaviour.target.mean_kld
    return replace(diagnosis, kld_before=before, kld_after=after)
