import asyncio
import threading

from runners.hand_over import HandOver


async def test_items_come_in_order_and_only_with_a_flush() -> None:
    hand_over = HandOver()
    left: asyncio.Queue[int] = asyncio.Queue()
    right: asyncio.Queue[str] = asyncio.Queue()
    to_left, to_right = hand_over.listener(left), hand_over.listener(right)

    def post() -> None:
        to_left(1)
        to_right("a")
        to_left(2)

    await asyncio.to_thread(post)
    await asyncio.sleep(0)
    assert left.empty()
    await asyncio.to_thread(hand_over.flush)
    assert [await left.get(), await left.get(), await right.get()] == [1, 2, "a"]


def test_a_loop_that_was_closed_is_told_nothing() -> None:
    hand_over = HandOver()

    async def listen() -> None:
        items: asyncio.Queue[int] = asyncio.Queue()
        hand_over.listener(items)(1)

    thread = threading.Thread(target=lambda: asyncio.run(listen()))
    thread.start()
    thread.join()
    hand_over.flush()
