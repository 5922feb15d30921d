"""Facts of this machine: settings, disk, device, and the files that the settings name."""

import difflib
import os
import platform
import stat
import tempfile
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path

from ops.doctor.facts import FileFacts, HostFacts, SettingsFacts, ThresholdFacts
from schemas.errors import ConfigurationError
from streams.feeds.settings import FEED_PREFIX, FeedSettings
from streams.settings import PREFIX, Settings

#: All begin alike, so that the common 0.6 would find a namesake for anything.
_ALIKE = 0.8


def known_variables() -> frozenset[str]:
    """Every variable that is a setting."""
    own = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    return frozenset(own | {f"{FEED_PREFIX}{name.upper()}" for name in FeedSettings.model_fields})


def settings_facts(names: Iterable[str], problems: Iterable[str]) -> SettingsFacts:
    """Find variables that are no settings, each with the nearest one that is.

    >>> settings_facts(["DIASTOLE_BROKR"], []).unknown
    {'DIASTOLE_BROKR': 'DIASTOLE_BROKER'}
    """
    known = known_variables()
    unknown = {}
    for name in sorted(set(names)):
        if name.upper() not in known:
            unknown[name] = next(
                iter(difflib.get_close_matches(name.upper(), known, n=1, cutoff=_ALIKE)), None
            )
    return SettingsFacts(problems=tuple(problems), unknown=unknown)


def host_facts(settings: Settings) -> HostFacts:
    """Look at the machine; writes one empty file to the home folder and removes it."""
    problem = _home_problem(settings.home)
    torch_version, has_cuda = _torch()
    return HostFacts(
        app_version=version("diastole"),
        python_version=platform.python_version(),
        home=str(settings.home),
        home_problem=problem,
        free_bytes=None if problem else _free_bytes(settings.home),
        torch_version=torch_version,
        device=settings.device,
        has_cuda=has_cuda,
    )


def file_facts(settings: Settings, feed_settings: FeedSettings) -> tuple[FileFacts, ...]:
    """Read every file that the settings name, as whoever needs it would."""
    from streams.api.tokens import load_tokens as load_care_tokens
    from streams.feeds.http.tokens import load_tokens as load_feed_tokens

    found = [
        _read("bundle", lambda: _bundle_text(bundle_folder(settings))),
        _read("policy", lambda: _policy_text(settings.policy)),
        _read("routes", lambda: _routes_text(settings.routes)),
    ]
    if settings.silent_bundle is not None:
        folder = settings.silent_bundle
        found.append(_read("bundle on trial", lambda: _bundle_text(folder)))
    for name, file, load in (
        ("tokens of pages and API", settings.care_tokens, load_care_tokens),
        ("tokens of the HTTP feed", feed_settings.tokens, load_feed_tokens),
    ):
        if file is not None:
            found.append(_secret(name, file, load))
    if feed_settings.key_file is not None:
        found.append(_secret("key of the gateway", feed_settings.key_file, Path.read_bytes))
    return tuple(found)


def bundle_folder(settings: Settings) -> Path:
    """Folder of the bundle in force."""
    from models.bundle import DEFAULT_BUNDLE

    return settings.bundle or DEFAULT_BUNDLE


def threshold_facts(settings: Settings) -> ThresholdFacts | None:
    """Thresholds of bundle and policy; None when one of them cannot be read, which is told elsewhere."""
    from models.bundle import load_bundle
    from streams.policy import load_policy

    try:
        bundle = load_bundle(bundle_folder(settings)).manifest.threshold.probability
        return ThresholdFacts(bundle=bundle, policy=load_policy(settings.policy).enter_threshold)
    except ConfigurationError:
        return None


def _home_problem(home: Path) -> str | None:
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=home, prefix=".doctor-"):
            return None
    except OSError as error:
        return f"nothing can be written there ({error.strerror})"


def _free_bytes(home: Path) -> int:
    disk = os.statvfs(home)
    return disk.f_bavail * disk.f_frsize


def _torch() -> tuple[str | None, bool]:
    try:
        import torch
    except (ImportError, OSError):
        return None, False
    return str(torch.__version__), torch.cuda.is_available()


def _read(name: str, read: Callable[[], str]) -> FileFacts:
    try:
        return FileFacts(name=name, said=read())
    except ConfigurationError as error:
        return FileFacts(name=name, problem=str(error))


def _bundle_text(folder: Path) -> str:
    from models.bundle import load_bundle

    bundle = load_bundle(folder)
    return f"{bundle.version} loads, every hash is right; sha256 {bundle.sha256[:12]}…"


def _policy_text(file: Path | None) -> str:
    from streams.policy import load_policy

    return f"{load_policy(file).version} can be used"


def _routes_text(file: Path | None) -> str:
    from streams.deliver.routes_file import load_routes

    routes = load_routes(file)
    return f"{len(routes.routes)} in the file; an alert reaches somebody at every level and hour"


def _secret(name: str, file: Path, load: Callable[[Path], object]) -> FileFacts:
    try:
        load(file)
        mode = file.stat().st_mode
    except ConfigurationError as error:
        return FileFacts(name=name, problem=str(error))
    except OSError as error:
        return FileFacts(name=name, problem=f"{file} cannot be read ({error.strerror})")
    is_private = not mode & (stat.S_IRWXO | stat.S_IWGRP)
    return FileFacts(name=name, said=f"{file} can be read", is_private=is_private)
