"""Former name of export_slides, which writes .h5ad unless told otherwise."""

import runpy
from pathlib import Path

runpy.run_path(str(Path(__file__).with_name("export_slides.py")), run_name=__name__)
