"""The model files that tests read: small models in Hugging Face form, and what real converters made of them.

They are kept as one archive because most of them repeat each other's bytes (160 MB unpacked, 58 MB packed).
`tests/data/README.md` says where each file comes from and how the archive is made.
"""

import hashlib
import lzma
import shutil
import tarfile
from pathlib import Path

ARCHIVE = Path(__file__).parent / "data" / "fixtures.tar.xz"


def unpack() -> Path:
    """The folder with the unpacked fixtures; unpacked again whenever the archive changed."""
    folder = ARCHIVE.parent / "unpacked"
    stamp = folder / ".digest"
    digest = hashlib.sha256(ARCHIVE.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        shutil.rmtree(folder, ignore_errors=True)
        with lzma.open(ARCHIVE) as packed, tarfile.open(fileobj=packed) as archive:
            archive.extractall(folder, filter="data")
        stamp.write_text(digest)
    return folder


FIXTURES = unpack()
