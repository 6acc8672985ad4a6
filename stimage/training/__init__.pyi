from .checkpoints import claim as claim
from .contrastive import backward as backward
from .objectives import clip_loss as clip_loss
from .results import ModelFolder as ModelFolder
from .results import write_results as write_results
from .run import Run as Run
<<<<<<< HEAD
from .second.panels import MadeExpression as MadeExpression
from .second.sentences import make_sentences as make_sentences
from .second.sentences import tokens_for as tokens_for
from .second.sets import gene_sets as gene_sets
from .second.spot_tables import SpotTable as SpotTable
from .second.vectors import VectorsOfSpots as VectorsOfSpots
=======
from .second_tower import dense as dense
from .second_tower import second_input as second_input
from .seeds import folder_of as folder_of
from .seeds import seeded as seeded
from .seeds import seeds_line as seeds_line
from .seeds import write_seeds as write_seeds
>>>>>>> df2abeb (Held-out scores are of all spots, and by steps too; an empty validation part stops a run; run.seeds runs several, with mean and std)
from .settings.describing import settings_help as settings_help
from .settings.groups import SETTINGS as SETTINGS
from .settings.groups import Settings as Settings
from .settings.reading import full_name as full_name
from .settings.reading import make_settings as make_settings
from .settings.reading import read_record as read_record
from .settings.reading import read_settings as read_settings
from .validation import loader as loader
from .validation import to_device as to_device
