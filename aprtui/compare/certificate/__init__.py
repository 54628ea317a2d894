"""The certificate: proof that a block-quantised tensor is an honest quantisation of its source (docs/certificate.md).

Nothing is encoded. Every stored block is taken apart into codes, scale and offset, and judged by three clauses:
a, every code is nearest under one scale that rounds to the stored one; b, an encoder could have arrived at that
scale; c, a scale is zero only where an honest one would be.
"""

from aprtui.compare.certificate.certifier import Certifier, is_certified
from aprtui.compare.certificate.measures import BlockFlags, BlockMeasures, ClauseMeasures

__all__ = ["BlockFlags", "BlockMeasures", "Certifier", "ClauseMeasures", "is_certified"]
