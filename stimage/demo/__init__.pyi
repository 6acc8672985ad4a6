from .choice import choose_as_configured as choose_as_configured
from .choice import choose_slides as choose_slides
from .recipe import Recipe as Recipe
from .report import write_demo_report as write_demo_report
from .steps import Step as Step
from .steps import StepFailed as StepFailed
from .steps import Steps as Steps
