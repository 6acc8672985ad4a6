"""Do what export_slides does: this is its former name. The default format is .h5ad."""

import runpy
from pathlib import Path

runpy.run_path(str(Path(__file__).with_name("export_slides.py")), run_name=__name__)
