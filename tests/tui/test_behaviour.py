"""What running models shows in the console: the layer at hand, and logits, layers and texts beside their rows."""

from behaviours import behaviour
from console import LARGE, assert_shows, drive, shows, text_of, until
from run_folders import alive, append, level, whole_run, write_run

from aprtui.core.behaviour import (
    ErrorMeasure,
    LayerError,
    TextComparison,
    TextVerdict,
)
from aprtui.core.events import BehaviourMeasured, LayerMeasured
from aprtui.core.findings import Finding
from aprtui.core.outcomes import Level

SMALL_ERROR, LARGE_ERROR = ErrorMeasure(0.0001, 0.0, 0.01), ErrorMeasure(0.75, 0.5, 2.0)
ATTENTION = LayerError("model.layers.0", "self_attn", LARGE_ERROR, LARGE_ERROR, 0.0001)
LAYERS = (
    LayerError("model.embed_tokens", "", SMALL_ERROR, SMALL_ERROR, 0.0001),
    ATTENTION,
    LayerError("model.layers.0", "mlp", SMALL_ERROR, LARGE_ERROR, 0.0001),
    LayerError("model.layers.0", "", LARGE_ERROR, LARGE_ERROR, 0.0001),
)
BEHAVIOUR = behaviour(
    layers=LAYERS,
    texts=(
        TextComparison("two", "same", "same", (1,), (1,), None, None, 0.1, TextVerdict.EQUAL),
        TextComparison("one [b]\x1b[31m", "right", "wrong", (1,), (2,), 0, 5.0, 0.1, TextVerdict.WRONG),
    ),
)
DIVERGES = Finding(Level.BEHAVIOUR, "model.layers.0.self_attn", "its own error is beyond its twin's")


def run_of_models(folder):
    *events, finished, gate, end = whole_run()
    measured = [BehaviourMeasured("S~S>G", BEHAVIOUR), level(Level.BEHAVIOUR, [DIVERGES])]
    return write_run(folder, [*events, *measured, finished, gate, end])


async def show_only(pilot, text):
    names = {" ": "space", "!": "exclamation_mark"}
    await pilot.press("slash", *[names.get(key, key) for key in text], "enter")
    await pilot.pause()


def test_a_part_that_diverges_shows_logits_layers_and_texts(tmp_path):
    folder = run_of_models(tmp_path)

    async def body(app, pilot):
        await show_only(pilot, "self_attn !weight")
        assert_shows(
            app, "logits at 20 positions", "mean KLD", "85.00%", "0.self_attn         0.75       0.75   1.00e-04 ✗"
        )
        lines = text_of(app)
        wrong = next(at for at, line in enumerate(lines) if "wrong  'one [b]" in line)
        assert "\x1b" not in "".join(lines) and "source 'right'" in lines[wrong + 1]

    drive(body, run=folder.path, size=LARGE)


def test_the_layer_at_hand_is_told_while_models_run(tmp_path):
    *events, finished, gate, end = whole_run()
    folder = write_run(tmp_path, events, engine=alive())

    async def body(app, pilot):
        append(folder, [LayerMeasured("S~S>G", ATTENTION)], len(events))
        await until(pilot, lambda: shows(app, "S vs S→G · model.layers.0 "))
        append(folder, [BehaviourMeasured("S~S>G", BEHAVIOUR), finished, gate, end], len(events) + 1)
        await until(pilot, lambda: shows(app, "✓ finished"))

    drive(body, run=folder.path, size=LARGE)


def test_a_tensor_shows_its_own_layer(tmp_path):
    folder = run_of_models(tmp_path)

    async def body(app, pilot):
        await show_only(pilot, "q_proj")
        assert_shows(app, "behaviour of its layer", "0.self_attn         0.75       0.75   1.00e-04 ✗")
        assert not shows(app, "model.layers.0.mlp  ") and not shows(app, "logits at")

    drive(body, run=folder.path, size=LARGE)
