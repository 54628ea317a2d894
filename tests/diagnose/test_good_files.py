"""No cause is ever named in a good file."""

import pytest
from fault_products import PRODUCTS, QUANTISED, good_model, source_model

from aprtui.compare.comparison import Scope, compare_models
from aprtui.core.diagnosis import Answer
from aprtui.core.outcomes import Outcome
from aprtui.diagnose import diagnose
from aprtui.formats.output_types import parse_output_type

GOOD = list(dict.fromkeys((*PRODUCTS, *QUANTISED)))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("goods")


@pytest.mark.parametrize("product", GOOD, ids=lambda product: product.name)
def test_what_passes_has_no_cause(product, scratch):
    source, target = source_model(product, scratch), good_model(product, scratch)
    scope = Scope(asked_for=parse_output_type(product.asked_for))
    comparison = compare_models(source, target, scope)
    diagnosis = diagnose(source, target, comparison, scope).diagnosis
    failing = {level.level for level in comparison.levels if level.outcome is Outcome.FALSIFIED}
    assert {named.cause.level for named in diagnosis.causes} <= failing
    assert diagnosis.unexplained == ()
    if not failing:
        assert Answer.YES not in {asked.answer for asked in diagnosis.questions}
