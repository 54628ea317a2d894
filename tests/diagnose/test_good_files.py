"""No cause is ever named in a good file."""

import pytest
from fault_products import PRODUCTS, QUANTISED, good_model, source_model
from fixture_files import FIXTURES

from aprtui.compare.comparison import Scope, compare_models
from aprtui.core.diagnosis import Answer
from aprtui.core.outcomes import Level, Outcome
from aprtui.diagnose import diagnose
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type

GOOD = list(dict.fromkeys((*PRODUCTS, *QUANTISED)))
GGUFS = sorted(path.relative_to(FIXTURES).as_posix() for path in FIXTURES.glob("*/gguf/*.gguf"))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("goods")


def diagnosed(source, target, asked_for):
    scope = Scope(asked_for=parse_output_type(asked_for))
    comparison = compare_models(source, target, scope)
    failing = {level.level for level in comparison.levels if level.outcome is Outcome.FALSIFIED}
    return failing, diagnose(source, target, comparison, scope).diagnosis


def test_llama_cpps_files_are_all_there():
    assert len(GGUFS) == 41
    assert sum(name.startswith("llama-tiny256/") for name in GGUFS) == 17


@pytest.mark.parametrize("name", GGUFS)
def test_llama_cpps_own_files_have_no_cause(name):
    path = FIXTURES / name
    asked_for = path.stem.removeprefix("imatrix-").lower()
    failing, diagnosis = diagnosed(open_model(path.parents[1] / "hf"), open_model(path), asked_for)
    assert not failing
    assert diagnosis.causes == diagnosis.unexplained == ()
    assert Answer.YES not in {asked.answer for asked in diagnosis.questions}


@pytest.mark.parametrize("product", GOOD, ids=lambda product: product.name)
def test_what_passes_has_no_cause(product, scratch):
    """Some of these lack a tokenizer, or keys that no file of their kind states; nothing else is said of them."""
    failing, diagnosis = diagnosed(source_model(product, scratch), good_model(product, scratch), product.asked_for)
    assert failing <= {Level.METADATA, Level.TOKENIZER}
    assert {named.cause.level for named in diagnosis.causes} == failing
    assert diagnosis.unexplained == ()
    if not failing:
        assert Answer.YES not in {asked.answer for asked in diagnosis.questions}
