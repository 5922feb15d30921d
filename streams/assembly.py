"""The stages of Diastole, put together from settings: which verb, which model, which store."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from schemas.codec import Codec
from schemas.errors import ConfigurationError
from schemas.featurized import EcgFeaturized
from schemas.patient_link import PatientLinked
from schemas.recorded import EcgRecorded
from schemas.registry import FileRegistry
from schemas.risk import RiskAssessed
from streams.settings import PREFIX, Settings
from streams.stage import Received, Scoring, Stage, utc_now
from streams.topology import LINK_ROUTE, SILENT_ROUTE, WAVEFORM_ROUTE

if TYPE_CHECKING:
    from streams.adapters.redis_history import RedisHistory
    from streams.adapters.redis_wards import RedisWards
    from streams.adapters.redis_waveforms import RedisWaveforms
    from streams.history import HistoryLimits
    from streams.refill import HistoryRefill
    from streams.worklist import WardLimits

# Each builder imports what it needs: a history worker must not load torch.


def build_codec(settings: Settings) -> Codec:
    """Encode and decode against the registry of the site, or the files of the package."""
    access = settings.registry
    if access is None:
        return Codec(FileRegistry())
    from streams.adapters.confluent_registry import ConfluentRegistry

    return Codec(ConfluentRegistry(access))


def build_history(settings: Settings) -> "RedisHistory":
    """Open the site's risk history, for the stage that writes it and for whoever reads or rebuilds it."""
    from streams.adapters.redis_history import RedisHistory

    return RedisHistory(settings.redis, _history_limits(settings), wards=_ward_limits(settings))


def build_wards(settings: Settings) -> "RedisWards":
    """Open what the same history tells of patients and wards, for whoever reads it."""
    from streams.adapters.redis_wards import RedisWards

    return RedisWards(settings.redis, history=_history_limits(settings), limits=_ward_limits(settings))


def build_waveforms(settings: Settings) -> "RedisWaveforms":
    """Open the waveforms of the newest ECGs, for the stage that keeps them and for whoever looks at them."""
    from streams.adapters.redis_waveforms import RedisWaveforms
    from streams.waveform import WaveformLimits

    limits = WaveformLimits(
        per_patient=settings.strips_per_patient, max_age=timedelta(days=settings.strips_max_age_days)
    )
    return RedisWaveforms(settings.redis, limits)


def _history_limits(settings: Settings) -> "HistoryLimits":
    from streams.history import HistoryLimits

    return HistoryLimits(
        max_points=settings.history_max_points, max_age=timedelta(days=settings.history_max_age_days)
    )


def _ward_limits(settings: Settings) -> "WardLimits":
    from streams.worklist import WardLimits

    return WardLimits(max_age=timedelta(days=settings.ward_max_age_days))


def build_stage(name: str, settings: Settings) -> Stage[Any]:
    """Put one stage together.

    Raises
    ------
    ConfigurationError
        When there is no such stage, or its bundle or policy cannot be used.
    """
    try:
        build = _BUILDERS[name]
    except KeyError:
        raise ConfigurationError(f"no stage {name!r}; there are {', '.join(_BUILDERS)}") from None
    return build(settings)


def _featurize(settings: Settings) -> Stage[EcgRecorded]:
    from streams.featurize import featurize

    return Stage(name="featurize", reads=EcgRecorded, work=featurize)


def _infer(settings: Settings) -> Stage[EcgFeaturized]:
    from models.bundle import DEFAULT_BUNDLE

    return _inferring("infer", settings.bundle or DEFAULT_BUNDLE, settings)


def _infer_silent(settings: Settings) -> Stage[EcgFeaturized]:
    if settings.silent_bundle is None:
        raise ConfigurationError(
            f"{SILENT_ROUTE.stage} has no bundle to try: set {PREFIX}SILENT_BUNDLE to its folder"
        )
    return _inferring(SILENT_ROUTE.stage, settings.silent_bundle, settings)


def _inferring(name: str, folder: Path, settings: Settings) -> Stage[EcgFeaturized]:
    from models.bundle import load_bundle
    from models.predictor import Predictor
    from streams.infer import infer

    predictor = Predictor(load_bundle(folder), device=settings.device, threads=settings.threads or None)

    def work(batch: Sequence[Received[EcgFeaturized]]) -> Sequence[object]:
        return infer(batch, predictor, utc_now)

    async def warm_up() -> None:
        await asyncio.to_thread(predictor.warm_up)

    scoring = Scoring(
        device=predictor.device_text,
        bundle_version=predictor.manifest.bundle_version,
        bundle_sha256=predictor.manifest.sha256,
    )
    return Stage(name=name, reads=EcgFeaturized, work=work, start=warm_up, scoring=scoring)


def _history(settings: Settings) -> Stage[RiskAssessed]:
    from streams.history_encoding import encoded_points

    history = build_history(settings)
    return Stage(
        name="history",
        reads=RiskAssessed,
        work=encoded_points,
        effect=history.write,
        beside=_refill(history, settings).run,
        start=history.require_usable,
        stop=history.close,
    )


def _refill(history: "RedisHistory", settings: Settings) -> "HistoryRefill":
    from streams.rebuild import rebuild_history, rebuild_links
    from streams.refill import HistoryRefill

    codec = build_codec(settings)

    async def rebuild() -> int:
        # Merges first: the lists of wards need them, and would otherwise be made twice.
        await rebuild_links(settings.kafka, codec, history)
        return (await rebuild_history(settings.kafka, codec, history)).kept

    return HistoryRefill(history.marks, rebuild, worker=uuid4().hex)


def _link(settings: Settings) -> Stage[PatientLinked]:
    from streams.link import encoded_links

    history = build_history(settings)
    return Stage(
        name=LINK_ROUTE.stage,
        reads=PatientLinked,
        work=encoded_links,
        effect=history.link,
        start=history.require_usable,
        stop=history.close,
    )


def _waveform(settings: Settings) -> Stage[EcgFeaturized]:
    from streams.waveform import encoded_strips

    waveforms = build_waveforms(settings)
    return Stage(
        name=WAVEFORM_ROUTE.stage,
        reads=EcgFeaturized,
        work=encoded_strips,
        effect=waveforms.write,
        start=waveforms.require_usable,
        stop=waveforms.close,
    )


def _alert(settings: Settings) -> Stage[RiskAssessed]:
    from streams.alert import decide
    from streams.patient_state import PatientState
    from streams.policy import load_policy

    policy = load_policy(settings.policy)

    def decide_encoded(
        before: bytes | None, received: Received[RiskAssessed]
    ) -> tuple[bytes, Sequence[object]]:
        state = PatientState.from_bytes(before) if before is not None else None
        decision = decide(state, received.record, policy)
        return decision.state.to_bytes(), decision.alerts

    return Stage(name="alert", reads=RiskAssessed, decide=decide_encoded)


_BUILDERS: Final[dict[str, Callable[[Settings], Stage[Any]]]] = {
    "featurize": _featurize,
    "infer": _infer,
    "history": _history,
    "alert": _alert,
    LINK_ROUTE.stage: _link,
    WAVEFORM_ROUTE.stage: _waveform,
    SILENT_ROUTE.stage: _infer_silent,
}
