"""`aprtui tensor` on runs whose products were kept, and on runs whose products are gone."""

import json
import os
import shutil
import time

import gguf
import numpy as np
import pytest
from fixture_files import FIXTURES
from stand_in_apr import install_apr

from aprtui.cli import main
from aprtui.engine.product_store import ProductStore
from aprtui.store.run_folder import RunFolder
from aprtui.store.summary import read_record

K_PROJ = "model.layers.1.self_attn.k_proj.weight"
PLAYBOOK = 'name: p\nversion: "1"\nmodel:\n  hf_repo: org/m\ntest_matrix:\n  seed: 7\n'


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The place of a run of llama-tiny256 to GGUF through apr 0.72.3, which kept its product."""
    place = tmp_path_factory.mktemp("made")
    (place / "p.yaml").write_text(PLAYBOOK)
    shutil.copytree(FIXTURES / "llama-tiny256/hf", place / "hf")
    program = install_apr(tmp_path_factory.mktemp("apr"), "0.72.3")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("XDG_STATE_HOME", str(place))
        arguments = ["run", place / "p.yaml", "--model", place / "hf", "--pair", "S-G"]
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments), "--scratch", str(place / "s"), "--output-dir", str(place / "o")])
    assert ended.value.code == 1
    return place


@pytest.fixture
def run(made):
    (folder,) = made.glob("o/p/runs/*")
    return folder


@pytest.fixture
def tensor(capsys):
    def result(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["tensor", *map(str, arguments)])
        return ended.value.code, *capsys.readouterr()

    return result


def test_a_permuted_tensor_of_the_wrong_type(tensor, run, made):
    """Against the two files themselves, read by others."""
    code, out, err = tensor(run, "S~S>G", K_PROJ, "--format", "json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["layout"].startswith("k rows permuted") and found["judgement"]["outcome"] == "Falsified"
    assert found["tolerance"]["rule"] == "certificate" and found["notes"] == []
    raw = load_bf16(made / "hf/model.safetensors", K_PROJ)
    permuted = raw.reshape(2, 2, 32, 256).swapaxes(1, 2).reshape(128, 256)
    reader = gguf.GGUFReader(found["target"]["file"])
    (stored,) = [one for one in reader.tensors if one.name == "blk.1.attn_k.weight"]
    assert found["target"]["offset"] == stored.data_offset and found["target"]["bytes"] == stored.n_bytes
    target = gguf.quants.dequantize(stored.data, stored.tensor_type)
    error = np.abs(target.astype(np.float64) - permuted)
    cells = error.reshape(64, 2, 64, 4).max(axis=(1, 3))
    assert found["heat"]["max_error"] == cells.tolist()
    assert (found["heat"]["row_step"], found["heat"]["column_step"]) == (2, 4)
    worst = found["worst"][0]
    assert tuple(worst["index"]) == np.unravel_index(error.argmax(), error.shape)
    assert worst["source"] == permuted[tuple(worst["index"])] and worst["target"] == target[tuple(worst["index"])]
    assert sum(one["count"] for one in found["histogram"]) == (error > 0).sum()
    outside = sum(map(sum, found["heat"]["violations"]))
    assert 0 < sum(one["outside"] for one in found["histogram"]) <= outside  # an element without an error has no decade
    block = found["block"]
    assert block["source"] == permuted[block["row"]].tolist() and block["decoded"] == target[block["row"]].tolist()
    assert len(block["codes"]) == 256 and block["min"] is not None and len(block["sub_scales"]) == 8
    assert not block["clauses"][0]["holds"] and block["clauses"][0]["measured"]["code_steps"] == 14.5


def load_bf16(path, name):
    """The bits of a BF16 tensor as float32, without numpy's lacking type."""
    header_size = int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(path.read_bytes()[8 : 8 + header_size])
    start, stop = header[name]["data_offsets"]
    bits = np.frombuffer(path.read_bytes()[8 + header_size :][start:stop], "<u2")
    return (bits.astype(np.uint32) << 16).view(np.float32).reshape(header[name]["shape"])


def test_what_the_journal_says_is_measured_again(run, tensor):
    found = json.loads(tensor(run, "S~S>G", K_PROJ, "--format", "json")[1])
    events = [line.event for line in RunFolder(run).reader().new_lines()]
    (journal,) = [one.tensor for one in events if getattr(one, "tensor", None) and one.tensor.name == K_PROJ]
    assert found["statistics"]["nmse"] == journal.record.nmse
    assert found["statistics"]["certificate"]["code_violations"] == 124


def test_as_text(tensor, run):
    code, out, _ = tensor(run, "S~S>G", K_PROJ, "--block", 5, "--rows", "0:2", "--columns", "0:3")
    assert code == 0 and out.startswith(f"FAIL  {K_PROJ}  128 x 256  BF16 > Q4_K  in S~S>G\n")
    assert "layout     k rows permuted for adjacent-pair rotary embedding, 2 kv heads\n" in out
    assert "a cell is 1 x 1 elements; 3 of 6 cells have elements outside the tolerance\n" in out
    assert "block 5, from row 5, column 0\n" in out and "FAIL  codes  code_steps" in out
    assert "elements of rows 0:2, columns 0:3\n" in out and "worst elements\n" in out


def test_an_equal_tensor(tensor, run):
    code, out, _ = tensor(run, "S~S>G", "model.norm.weight")
    assert code == 0 and out.startswith("pass  model.norm.weight  256  BF16 > F32")
    assert "0 of 256 elements differ" in out and "where they sit" not in out and "block" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("S~S>A", K_PROJ), "has no comparison 'S~S>A'; its comparisons are S~S>G"),
        (("S~S>G", "k_proj"), "S~S>G has no tensor k_proj; "),
        (("S~S>G", K_PROJ[:-1]), f"like it are {K_PROJ}"),
        (("S~S>G", K_PROJ, "--block", 128), "has no block 128; its blocks are numbered 0 to 127"),
        (("S~S>G", K_PROJ, "--rows", "0:129"), "has no rows 0:129; it has 128 rows, from 0 on"),
        (("S~S>G", K_PROJ, "--rows", "0-9"), "'0-9' is no range; write 0:64"),
        (("S~S>G", K_PROJ, "--columns", "9" * 30 + ":1"), "is no range"),
        (("S~S>G", "model.norm.weight", "--block", 0), "has no blocks to show"),
    ],
)
def test_what_is_not_there(tensor, run, arguments, message):
    code, out, err = tensor(run, *arguments)
    assert (code, out) == (2, "") and message in err


def test_a_comparison_of_the_model_alone(tensor, tmp_path):
    from runs_by_hand import plan, write_run

    folder = write_run(tmp_path / "r", [], plan("r", {"G0-VALIDATE-001": ("S~S",), "F-CONV-S-G": ("S~S>G",)}))
    code, _, err = tensor(folder.path, "S~S", "x")
    assert code == 2 and "S~S looks at the model alone; name one of S~S>G" in err
    code, _, err = tensor(folder.path, "S~S>G", "x")
    assert code == 3 and err == "aprtui: the run has no product of S>G; `aprtui show r` says why\n"


@pytest.fixture
def copied(made, run, tmp_path):
    """A run like it, whose files may be damaged: paths in plan and journal are those of the copy."""
    place = tmp_path / "copy"
    shutil.copytree(made, place)
    folder = place / run.relative_to(made)
    for name in ("plan.json", "journal.jsonl"):
        (folder / name).write_text((folder / name).read_text().replace(str(made), str(place)))
    return place, folder


def test_a_product_that_is_gone(tensor, copied):
    place, folder = copied
    shutil.rmtree(place / "s")
    code, out, err = tensor(folder, "S~S>G", K_PROJ)
    assert (code, out) == (3, "") and err.count("\n") == 1
    assert "the product of S>G is gone; products end with a run; one that is made with --scratch DIR keeps them" in err


def test_a_model_that_is_gone(tensor, copied):
    place, folder = copied
    shutil.rmtree(place / "hf")
    code, out, err = tensor(folder, "S~S>G", K_PROJ)
    assert (code, out) == (3, "") and "the run's model is gone; put it back, or run it again" in err


def test_a_kept_product_of_another_content_is_not_taken_for_it(tensor, copied):
    """A later run may have kept another product under the same key."""
    place, folder = copied
    (record,) = place.glob("s/aprtui-conversions/*/conversion.json")
    value = json.loads(record.read_text())
    record.write_text(json.dumps(value | {"files": dict.fromkeys(value["files"], "xxh3:other")}))
    code, _, err = tensor(folder, "S~S>G", K_PROJ)
    assert code == 3 and "the product of S>G is gone" in err


def test_files_that_changed_since_are_told(tensor, copied):
    place, folder = copied
    (product,) = place.glob("s/aprtui-conversions/*/*.gguf")
    raw = bytearray(product.read_bytes())
    raw[-100_000:] = bytes(100_000)
    product.write_bytes(raw)
    later = time.time() + 10
    os.utime(product, (later, later))
    code, out, _ = tensor(folder, "S~S>G", "model.norm.weight")
    assert code == 0 and f"note       {product} was written after the run" in out
    names = ("model.layers.1.self_attn.v_proj.weight", "model.norm.weight", "model.layers.1.mlp.up_proj.weight")
    outputs = [tensor(folder, "S~S>G", one)[1] for one in names]
    assert any("what is measured now is not what the journal has" in output for output in outputs)


def test_a_product_that_cannot_be_read(tensor, copied):
    place, folder = copied
    (product,) = place.glob("s/aprtui-conversions/*/*.gguf")
    product.write_bytes(b"GGUF")
    code, out, err = tensor(folder, "S~S>G", K_PROJ)
    assert (code, out) == (3, "") and err.count("\n") == 1 and str(product) in err


def test_looking_for_kept_products_changes_nothing(made, run):
    before = sorted((path, path.stat().st_mtime_ns) for path in (made / "s").rglob("*"))
    folder = RunFolder(run)
    record = read_record(folder.reader().new_lines())
    store = ProductStore(folder.plan())
    assert store.kept_product("S>G", record.products["S>G"].files.values()) is None
    store.model_files({"S": record.opened.files})
    assert store.kept_product("S>G", record.products["S>G"].files.values()).is_file()
    assert sorted((path, path.stat().st_mtime_ns) for path in (made / "s").rglob("*")) == before
