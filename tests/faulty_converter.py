"""A converter whose products carry faults of the catalogue."""

import shutil
from collections.abc import Mapping

from aprtui.convert.builtin import BuiltinConverter
from aprtui.faults import FAULTS, inject
from aprtui.formats.model import open_model


class Faulty(BuiltinConverter):
    """The built-in converter with faults in some of its products.

    Args:
        faults: Code of a fault by conversion, written as the letters of its formats ("S-G-A"; "S-G-A-2" the second).
    """

    def __init__(self, faults: Mapping[str, str]):
        self.faults = faults

    def convert(self, source, target, destination, asked_for):
        product = super().convert(source, target, destination, asked_for)
        code = self.faults.get(destination.name)
        if code is None:
            return product
        place = destination.with_name("damaged")
        damaged = inject(FAULTS[code], product, place, source=open_model(source)).path
        shutil.rmtree(destination)
        place.rename(destination)
        return destination / damaged.relative_to(place)
