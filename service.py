"""The BentoML service: wiring and lifecycle.

The one module that imports bentoml and reads the environment. Importing it loads nothing heavy and
needs no setting: the build imports it too.
"""

import gc
import logging
import os
import sys

import bentoml

from api.app import build_app
from api.deps import Deps
from contracts.settings import Settings, SettingsError, read_settings
from contracts.version import VERSION

logger = logging.getLogger("lookout")

BASE_IMAGE = os.environ.get("LOOKOUT_BASE_IMAGE")  # when an image is built; not a setting
image = bentoml.images.Image(
    base_image=BASE_IMAGE or "python:3.11-slim",
    distro="none" if BASE_IMAGE else "debian",
    python_version="3.11",
).requirements_file("requirements.txt")


def open_deps(settings: Settings) -> Deps:
    """Everything the HTTP surface needs, not yet started."""
    from media.reader import IsolatedMediaReader
    from runners.transformers_runner import TransformersRunner

    return Deps(
        settings=settings,
        runner=TransformersRunner(settings),
        media=IsolatedMediaReader(settings),
        version=VERSION,
    )


def read_settings_or_exit() -> Settings:
    """The settings; the program ends with a sentence for each variable that is wrong."""
    try:
        return read_settings(os.environ)
    except SettingsError as exc:
        sys.exit(f"lookout: {exc}")


def set_up_logging(level: str) -> None:
    """Lines of the application go where BentoML's go; without this they stay silent."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for name in ("lookout", "api", "media", "runners", "llava_custom"):
        package = logging.getLogger(name)
        package.handlers = [handler]
        package.propagate = False
        package.setLevel(level)


app = build_app(lambda: bentoml.get_current_service().deps)


@bentoml.service(
    name="lookout",
    image=image,
    workers=1,
    traffic={"timeout": 900},
    metrics={"enabled": False},  # its page asks for no key and labels raw paths
    logging={"access": {"enabled": False}},  # ours carries the request id
)
@bentoml.asgi_app(app, path="/")
class LLaVAVideoService:
    """Questions to images and videos, on one port."""

    def __init__(self) -> None:
        settings = read_settings_or_exit()
        set_up_logging(settings.log_level)
        self.deps = open_deps(settings)

    @bentoml.on_startup
    async def start(self) -> None:
        """Begin to load the model; the service answers meanwhile."""
        await self.deps.runner.start()
        gc.collect()
        gc.freeze()

    @bentoml.on_shutdown
    async def stop(self) -> None:
        """End running work and every decoder."""
        await self.deps.runner.close()
        await self.deps.media.close()

    async def __is_ready__(self) -> bool:
        """Whether a question would be answered now; must not raise."""
        return self.deps.runner.state == "ready"
