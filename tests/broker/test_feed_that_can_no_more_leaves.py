"""A feed that can take nothing more says so and leaves, so that its supervisor starts it anew."""

from pathlib import Path

import httpx
from feed_process import feed_server
from feed_storm import dicom_document

from ops.services import RunningBroker
from ops.services.ports import LOOPBACK, free_port
from ops.topics import apply_topics

RUN = 41
TRY_LATER = 75
LEAVES_WITHIN_S = 60.0


async def test_a_feed_whose_notes_are_damaged_leaves_and_a_fresh_one_goes_on(
    embedded_broker: RunningBroker, tmp_path: Path
) -> None:
    await apply_topics(embedded_broker.bootstrap, 4)
    port, folder = free_port(), tmp_path / "gateway"
    feed = feed_server(["http", "--port", str(port)], port, folder, broker=embedded_broker.bootstrap)
    with (
        feed.start(),
        httpx.Client(base_url=f"http://{LOOPBACK}:{port}", timeout=40.0) as client,
    ):

        def deliver(number: int) -> int:
            return client.post("/v1/ecgs", content=dicom_document(number, RUN)).status_code

        def is_ready() -> bool:
            return client.get("/readyz").status_code == 200

        assert deliver(0) == 201
        assert is_ready()
        for file in (folder / "home" / "feeds" / "http").glob("repeats.sqlite*"):
            with file.open("r+b") as notes:
                notes.write(b"\x5a" * file.stat().st_size)
        assert deliver(1) == 503
        process = feed._process
        assert process is not None
        assert process.wait(LEAVES_WITHIN_S) == TRY_LATER
        assert "start this feed again" in feed.log_tail()
        feed.kill()  # it has left: this only forgets it
        feed.start()
        assert [deliver(0), deliver(1), deliver(1)] == [200, 201, 200]
