"""The model files that tests read: small models in Hugging Face form, and what real converters made of them.

They are kept as one archive because most of them repeat each other's bytes (160 MB unpacked, 58 MB packed).
`tests/data/README.md` says where each file comes from and how the archive is made.
"""

import hashlib
import lzma
import shutil
import tarfile
import tempfile
from pathlib import Path

ARCHIVE = Path(__file__).parent / "data" / "fixtures.tar.xz"


def unpack() -> Path:
    """The folder with the unpacked fixtures, made once per content of the archive.

    Test processes that start together may unpack at the same time; the first one to finish gives the folder its name.
    """
    digest = hashlib.sha256(ARCHIVE.read_bytes()).hexdigest()[:16]
    folder = ARCHIVE.parent / "unpacked" / digest
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent))
        with lzma.open(ARCHIVE) as packed, tarfile.open(fileobj=packed) as archive:
            archive.extractall(scratch, filter="data")
        try:
            scratch.rename(folder)
        except OSError:
            shutil.rmtree(scratch)
    return folder


FIXTURES = unpack()
