"Installs the package that settings.ini describes."

from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
settings = ConfigParser(delimiters=["="], interpolation=None)
settings.read(here / "settings.ini", encoding="utf-8")
cfg = settings["DEFAULT"]


def requirements(key: str) -> list[str]:
    return cfg.get(key, "").split()


extras = {key.removesuffix("_requirements"): requirements(key) for key in cfg if key.endswith("_requirements")}
setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    author=cfg["author"],
    author_email=cfg["author_email"],
    keywords=cfg["keywords"],
    packages=find_packages(include=["microvae*"]),
    include_package_data=True,
    package_data={"microvae": ["py.typed", "*.pyi"], "microvae.app": ["static/*", "napari.yaml"]},
    python_requires=f">={cfg['min_python']}",
    install_requires=requirements("requirements"),
    extras_require=extras,
    entry_points={
        "console_scripts": cfg["console_scripts"].split(),
        "nbdev": [f"{cfg['lib_name']}={cfg['lib_name']}._modidx:d"],
        "napari.manifest": [f"{cfg['lib_name']} = {cfg['lib_name']}.app:napari.yaml"],
    },
)
