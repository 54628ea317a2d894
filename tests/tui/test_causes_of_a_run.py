"""Causes in the console: the three questions on top, the causes of a comparison, the cause in rows and details."""

from console import LARGE, assert_shows, drive, shows, text_of
from run_folders import NAMES, whole_run, write_run

from aprtui.core.causes import Question
from aprtui.core.diagnosis import Answer, Diagnosis, NamedCause, QuestionAnswered, Unexplained
from aprtui.core.events import Diagnosed
from aprtui.core.outcomes import Level

K_PROJ = NAMES[2]
TRANSPOSED = NamedCause(
    "weights.transposed",
    (NAMES[0], K_PROJ),
    "2 tensors",
    "under the repair, every element equal",
    before=2.0,
    after=0.0,
)
LOST = NamedCause("structure.tensor_missing", ("model.norm.weight",), "model.norm.weight", "it is absent")
QUESTIONS = (
    QuestionAnswered(Question.TRANSPOSED, Answer.YES, 2, "weights.transposed: 2 tensors"),
    QuestionAnswered(Question.QUANTISATION, Answer.NO, 0, "no tensor is quantised"),
    QuestionAnswered(Question.TOKENIZER, Answer.UNKNOWN, 0, "the tokenizer level was not compared"),
)
DIAGNOSIS = Diagnosis(
    QUESTIONS,
    (LOST, TRANSPOSED),
    (Unexplained(Level.METADATA, "rope_theta", "rope_theta differs"),),
    4,
    1,
    2,
    0,
    2.0,
    0.0,
    0.1,
)


def explained_run(folder):
    *events, finished, gate, end = whole_run()
    return write_run(folder, [*events, Diagnosed("S~S>G", DIAGNOSIS), finished, gate, end])


def test_the_three_questions_stand_on_top(tmp_path):
    folder = explained_run(tmp_path)

    async def body(app, pilot):
        line = text_of(app)[2]
        assert line.rstrip().endswith("transposed yes 2  quantisation no  tokenizer unknown")
        assert "✓ finished" in line and "…" not in line

    drive(body, run=folder.path)


def test_a_run_that_nobody_explained_answers_nothing(tmp_path):
    folder = write_run(tmp_path, whole_run())

    async def body(app, pilot):
        assert not shows(app, "transposed")

    drive(body, run=folder.path)


def test_causes_of_a_comparison_worst_first_with_evidence_and_advice(tmp_path):
    folder = explained_run(tmp_path)

    async def body(app, pilot):
        await pilot.press("i")
        await pilot.pause()
        assert_shows(app, "Causes of S→G vs S", "transposed   ✗ yes      2", "tokenizer    ? unknown")
        whole = "\n".join(text_of(app)).partition("Causes of")[2]
        assert whole.index("structure.tensor_missing") < whole.rindex("weights.transposed")
        assert_shows(app, "under the repair, every element equal", "NMSE 2 as it is, 0 under the repair")
        assert_shows(app, "→ Reverse the dims")
        assert_shows(app, "1 without a cause", "rope_theta differs")

    drive(body, size=LARGE, run=folder.path)


def test_a_row_and_its_detail_name_the_cause(tmp_path):
    folder = explained_run(tmp_path)

    async def body(app, pilot):
        await pilot.press("slash", *"k_proj", "enter")
        await pilot.pause()
        assert_shows(app, "weights.transposed · ε", "── cause", "A matrix is transposed under its right shape")

    drive(body, size=LARGE, run=folder.path)
