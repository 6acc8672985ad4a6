from .adding import write_slide as write_slide
from .anndata_files import read_slides as read_slides
from .anndata_files import write_h5ad as write_h5ad
from .h5ad import from_anndata as from_anndata
from .imported import ImportOptions as ImportOptions
from .labels import is_table as is_table
from .labels import with_labels as with_labels
from .recognise import read_source as read_source
