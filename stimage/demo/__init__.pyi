from .choice import choose as choose
from .choice import choose_as_configured as choose_as_configured
from .report import write_report as write_report
from .steps import Failed as Failed
from .steps import Step as Step
from .steps import Steps as Steps
