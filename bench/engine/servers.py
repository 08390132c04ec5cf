"""The servers that are compared, each started on the same checkpoint and ended again."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.peers.install import find_peer
from demo.serving import free_port, running, served

VLLM_START_S = 300
NUM_THREADS = "2"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where it lies, in transformers' names and in vLLM's."""

    plain: Path
    for_vllm: Path


@dataclass(frozen=True, slots=True)
class Server:
    """One that can be started.

    Attributes:
        name: In tables.
        start: Starts it on a checkpoint, its log in a file; yields its base URL.
        model: Its name of the checkpoint.
        has_video: Whether it takes frames as a video.
        extra: Fields that its requests need.
    """

    name: str
    start: Callable[[Checkpoint, Path], AbstractContextManager[str]]
    model: Callable[[Checkpoint], str]
    has_video: bool = False
    extra: Mapping[str, object] = field(default_factory=dict)


def start_lookout(checkpoint: Checkpoint, log: Path) -> AbstractContextManager[str]:
    """``bentoml serve`` of this repository, in the type that the peers compute in."""
    variables = {"VLM_MODEL": str(checkpoint.plain), "VLM_DTYPE": "bfloat16"}
    return served(variables, log=log)


def servers(peers: Path) -> list[Server]:
    """Lookout, and the peers, whether they are installed or not."""
    return [
        Server("Lookout", start_lookout, lambda checkpoint: checkpoint.plain.name, has_video=True),
        Server(
            "transformers serve",
            lambda checkpoint, log: _transformers(_programs(peers, "transformers"), log),
            lambda checkpoint: str(checkpoint.plain),
        ),
        Server(
            "vLLM CPU",
            lambda checkpoint, log: _vllm(_programs(peers, "vllm"), checkpoint, log),
            lambda checkpoint: "tiny",
        ),
    ]


def _programs(peers: Path, name: str) -> Path:
    """Where a peer's programs are.

    Raises:
        FileNotFoundError: It is not installed; the message says how.
    """
    found = find_peer(peers, name)
    if found is None:
        raise FileNotFoundError(f"not installed: python -m bench.peers install {peers}")
    return found


@contextmanager
def _transformers(programs: Path, log: Path) -> Iterator[str]:
    port = free_port()
    command = [f"{programs}/transformers", "serve", "--host", "127.0.0.1", "--port", str(port)]
    variables = {"HF_HUB_OFFLINE": "1"}
    with running(
        [*command, "--dtype", "bfloat16"], port, variables, log, ready_path="/health"
    ) as url:
        yield url


@contextmanager
def _vllm(programs: Path, checkpoint: Checkpoint, log: Path) -> Iterator[str]:
    port = free_port()
    command = [f"{programs}/vllm", "serve", str(checkpoint.for_vllm)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", "tiny"]
    command += ["--dtype", "bfloat16", "--max-model-len", "2048", "--enforce-eager"]
    command += ["--limit-mm-per-prompt", '{"image": 8}']
    variables = {
        "HF_HUB_OFFLINE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "2",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": NUM_THREADS,
        "PATH": f"{programs}:/usr/bin:/bin",
    }
    with running(command, port, variables, log, ready_path="/health", start_s=VLLM_START_S) as url:
        yield url
