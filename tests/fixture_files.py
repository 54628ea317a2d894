"""The model files that tests read: small models in Hugging Face form, and what real converters made of them.

They are kept as archives because most of them repeat each other's bytes (160 MB unpacked, 58 MB packed).
`tests/data/README.md` says where each file comes from.
"""

import hashlib
import lzma
import shutil
import tarfile
import tempfile
from pathlib import Path

DATA = Path(__file__).parent / "data"


def unpack(name: str) -> Path:
    """The folder with an unpacked archive, made once per content of the archive.

    Test processes that start together may unpack at the same time; the first one to finish gives the folder its name.
    """
    archive = DATA / name
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()[:16]
    folder = DATA / "unpacked" / digest
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent))
        with lzma.open(archive) as packed, tarfile.open(fileobj=packed) as files:
            extract(files, scratch)
        try:
            scratch.rename(folder)
        except OSError:
            shutil.rmtree(scratch)
    return folder


def extract(archive: tarfile.TarFile, folder: Path) -> None:
    """Unpack an archive of the tests' own; Python before 3.11.4 has no filters."""
    if hasattr(tarfile, "data_filter"):
        archive.extraction_filter = tarfile.data_filter
    archive.extractall(folder)


FIXTURES = unpack("fixtures.tar.xz")


def vocabularies() -> Path:
    """Vocabularies of real models as GGUF without tensors, with texts (`.inp`) and their ids (`.out`).

    From llama.cpp's models folder (MIT licence).
    """
    return unpack("ggml-vocab.tar.xz") / "ggml-vocab"
