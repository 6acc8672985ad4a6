from . import cli as cli
from . import collection as collection
from . import core as core
from . import demo as demo
from . import evaluation as evaluation
from . import examples as examples
from . import figures as figures
from . import formats as formats
from . import genes as genes
from . import loading as loading
from . import publishing as publishing
from . import sample as sample
from . import scores as scores
from . import slides as slides
from . import towers as towers
from . import training as training
from .core.shipped import metric_path as metric_path

__version__: str
