from .cells import Cells as Cells
from .cells import cells_file as cells_file
from .cells import write_cells as write_cells
from .importing import ImportOptions as ImportOptions
from .importing import read_foreign as read_foreign
from .pyramids import export_one as export_one
from .pyramids import known_scale as known_scale
