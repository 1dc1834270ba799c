import asyncio

import pytest

from pulsed.web import notices as module
from pulsed.web.notices import TOPICS, Notices


@pytest.fixture
def notices(monkeypatch: pytest.MonkeyPatch) -> Notices:
    monkeypatch.setattr(module, "SPACING", 0.01)
    monkeypatch.setattr(module, "SILENCE", 0.05)
    return Notices()


def test_a_page_that_slept_is_told_what_changed_since_its_mark(notices):
    notices.tell("rack")
    mark = notices.mark
    assert notices.since(mark).topics == ()
    notices.tell("queue")
    notices.tell("queue", "calibration")
    assert notices.since(mark).topics == ("queue", "calibration")
    assert notices.since(notices.since(mark).mark).topics == ()


@pytest.mark.parametrize("mark", ["", "-", "x-1", "deadbeef-0", "-5", "1", "\x00"])
def test_a_page_of_another_process_is_told_everything(notices, mark):
    assert notices.since(mark).topics == TOPICS


async def test_what_is_told_in_another_thread_reaches_a_page_that_waits(notices):
    notices.open()
    heard = []

    async def listen():
        async for notice in notices.listen(notices.mark, lambda: len(heard) < 2):
            if notice.topics:
                heard.append(notice.topics)

    task = asyncio.create_task(listen())
    await asyncio.sleep(0)
    assert notices.listeners == 1
    await asyncio.to_thread(notices.tell, "progress")
    while not heard:
        await asyncio.sleep(0.001)
    for _ in range(5):  # what comes within the spacing comes as one
        await asyncio.to_thread(notices.tell, "rack")
    await asyncio.to_thread(notices.tell, "queue")
    await task
    assert heard == [("progress",), ("rack", "queue")]
    assert notices.listeners == 0


async def test_silence_is_broken_so_that_a_dead_connection_is_noticed(notices):
    notices.open()
    async for notice in notices.listen(notices.mark, lambda: True):
        assert notice.topics == ()
        break
