"""Wiring and lifecycle. Alone imports bentoml and reads the environment; loads nothing heavy."""

import logging
import os
import sys
from contextlib import AsyncExitStack

import bentoml

from api.app import build_app
from api.deps import ServiceDeps
from api.readiness import Readiness
from api.stopping import set_on_signals
from contracts.alerts import Alerts
from contracts.settings import Settings, SettingsError, read_settings
from contracts.version import VERSION

BASE_IMAGE = os.environ.get("LOOKOUT_BASE_IMAGE")  # when an image is built; not a setting
image = bentoml.images.Image(
    base_image=BASE_IMAGE or "python:3.11-slim",
    distro="none" if BASE_IMAGE else "debian",
    python_version="3.11",
).requirements_file("requirements.txt")


async def open_house(settings: Settings) -> tuple[ServiceDeps, Alerts, AsyncExitStack]:
    """Everything the HTTP surface needs; what was opened last is closed first."""
    from live.opening import LiveParts, open_live
    from media.addresses import AddressRules
    from media.opening import open_media
    from media.posting import GuardedPoster
    from media.web_client import GuardedWebClient
    from runners.opening import open_runner

    async with AsyncExitStack() as closing:  # closes what is open if the rest cannot be
        media = open_media(settings)
        closing.push_async_callback(media.close)
        runner = open_runner(settings)
        closing.push_async_callback(runner.close)
        addresses = AddressRules.parse(settings.media_allow)
        poster = GuardedPoster(addresses)
        closing.push_async_callback(poster.close)
        parts = LiveParts(VERSION, GuardedWebClient(addresses), poster, runner)
        live = await open_live(settings, parts, closing)
        deps = ServiceDeps(
            settings=settings,
            runner=runner,
            media=media,
            version=VERSION,
            streams=live.streams,
            stream_keeper=live.keeper,
            previews=live.previews,
            readiness=Readiness(runner, live.alerts.check),
            num_rules=live.alerts.rules.count_for,
        )
        return deps, live.alerts, closing.pop_all()


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
    for name in ("lookout", "api", "live", "media", "runners", "llava_custom"):
        package = logging.getLogger(name)
        package.handlers, package.propagate = [handler], False
        package.setLevel(level)


app = build_app(
    lambda: bentoml.get_current_service().deps,
    alerts=lambda: bentoml.get_current_service().alerts,
)


@bentoml.service(
    name="lookout",
    image=image,
    workers=1,
    envs=[{"name": "GOMP_SPINCOUNT", "value": "2000"}],  # threads that wait soon leave their cores
    traffic={"timeout": 900},
    metrics={"enabled": False},  # its page asks for no key and labels raw paths
    logging={"access": {"enabled": False}},  # ours carries the request id
    tracing={"excluded_urls": "."},  # else every chunk is a span, which costs more than the chunk
)
@bentoml.asgi_app(app, path="/")
class LLaVAVideoService:
    """Questions to images, videos and live cameras, on one port."""

    @bentoml.on_deployment
    def check() -> None:
        """End before there is a worker if a variable is wrong: BentoML would start it for ever."""
        read_settings_or_exit()

    def __init__(self) -> None:
        self.settings = read_settings_or_exit()
        set_up_logging(self.settings.log_level)

    @bentoml.on_startup
    async def start(self) -> None:
        """Open everything and begin to load the model; the service answers meanwhile."""
        self.deps, self.alerts, self.closing = await open_house(self.settings)
        await self.deps.runner.start()
        set_on_signals(self.deps.stopping)

    @bentoml.on_shutdown
    async def stop(self) -> None:
        """End captures, running work and every decoder."""
        await self.closing.aclose()

    async def __is_ready__(self) -> bool:
        """Whether questions are answered and events kept now; must not raise."""
        return await self.deps.readiness.is_ready()
