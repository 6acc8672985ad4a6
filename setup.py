"""What pyproject.toml cannot say: the wheel carries the folders that a clone has beside stimage/."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithFolders(build_py):
    """Copies scripts, configurations and metrics into stimage/shipped, where stimage/core/shipped.py finds them."""

    def run(self) -> None:
        super().run()
        for folder in () if self.editable_mode else ("scripts", "configs", "metrics"):
            to = Path(self.build_lib, "stimage/shipped", folder)
            shutil.copytree(folder, to, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)


setup(cmdclass={"build_py": WithFolders})
