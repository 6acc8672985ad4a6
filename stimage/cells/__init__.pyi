from .pyramids import export_one as export_one
from .pyramids import known_scale as known_scale
