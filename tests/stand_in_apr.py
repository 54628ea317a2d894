"""Makes an executable `apr` that answers as a recorded version did, and copies the files that it wrote.

What it prints and how it ends is in `tests/data/apr_transcripts/VERSION.json`; the files are among the fixtures. A
source that was not recorded it has no answer for: exit code 77.
"""

import hashlib
import sys
from pathlib import Path

from fixture_files import FIXTURES

TRANSCRIPTS = Path(__file__).parent / "data" / "apr_transcripts"
PRODUCTS = {
    ("import", ".safetensors", ".apr", ""): "s-import.apr",
    ("import", ".safetensors", ".apr", "int8"): "s-import-int8.apr",
    ("import", ".safetensors", ".apr", "int4"): "s-import-int4.apr",
    ("import", ".safetensors", ".apr", "fp16"): "s-import-fp16.apr",
    ("import", ".safetensors", ".apr", "q4k"): "s-import-q4k.apr",
    ("import", ".gguf", ".apr", ""): "g-bf16-import.apr",
    ("rosetta", ".safetensors", ".gguf", ""): "sg.gguf",
    ("rosetta", ".gguf", ".safetensors", ""): "gs-bf16",
    ("export", ".apr", ".safetensors", ""): "as",
    ("export", ".apr", ".gguf", ""): "s-import-export.gguf",
}

_PROGRAM = '''#!{python}
import hashlib, json, os, pathlib, shutil, sys

PRODUCTS = {products!r}
SOURCES = {sources!r}


def key(arguments):
    """Subcommand, suffixes of the two paths, quantisation."""
    suffixes = [pathlib.Path(argument).suffix for argument in arguments]
    paths = [suffix for suffix in suffixes if suffix in (".safetensors", ".gguf", ".apr")]
    quantize = arguments[arguments.index("--quantize") + 1] if "--quantize" in arguments else ""
    return (arguments[0], *paths, quantize)


arguments = sys.argv[1:]
recorded = json.loads(pathlib.Path({transcript!r}).read_text(encoding="utf-8"))
entry = next(entry for entry in recorded if key(entry["command"][1:]) == key(arguments))
if arguments[0] != "--version":
    source = pathlib.Path(arguments[2 if arguments[0] == "rosetta" else 1])
    if hashlib.sha256(source.read_bytes()).hexdigest() not in SOURCES:
        print(f"this source was not recorded: {{source}}", file=sys.stderr)
        sys.exit(77)
sys.stdout.write(entry["stdout"])
sys.stderr.write(entry["stderr"])
if arguments[0] == "import" and arguments[1].endswith(".safetensors"):
    assert pathlib.Path(arguments[1]).with_name("config.json").is_file(), "no config.json beside the source"
if arguments[0] == "rosetta":
    # The fixed name: it must not be there already.
    os.close(os.open(os.path.join(os.environ["TMPDIR"], "rosetta_temp.apr"), os.O_CREAT | os.O_EXCL))
if entry["exit"] == 0 and arguments[0] != "--version":
    product = pathlib.Path({folder!r}) / PRODUCTS[key(arguments)]
    target = pathlib.Path(arguments[3])
    for file in sorted(product.iterdir()) if product.is_dir() else [product]:
        shutil.copyfile(file, target.parent / file.name if product.is_dir() else target)
sys.exit(entry["exit"])
'''


def install_apr(folder: Path, version: str) -> Path:
    """Write the program `apr` into a folder; it knows the conversions of llama-tiny256."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "apr"
    program.write_text(
        _PROGRAM.format(
            python=sys.executable,
            products=PRODUCTS,
            sources=[hashlib.sha256(path.read_bytes()).hexdigest() for path in _recorded_sources(version)],
            transcript=str(TRANSCRIPTS / f"{version}.json"),
            folder=str(FIXTURES / "apr" / version / "llama-tiny256"),
        ),
        encoding="utf-8",
    )
    program.chmod(0o755)
    return program


def _recorded_sources(version: str) -> list[Path]:
    model = FIXTURES / "llama-tiny256"
    imported = FIXTURES / "apr" / version / "llama-tiny256/s-import.apr"
    sources = (model / "hf/model.safetensors", model / "gguf/bf16.gguf", imported)
    return [path for path in sources if path.exists()]
