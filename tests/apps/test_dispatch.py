"""Callbacks reach the home thread, in order, whatever thread they come from."""

import asyncio
import contextvars
import logging
import threading

import pytest

from lliso.apps.dispatch import Dispatcher


def from_other_thread(call):
    thread = threading.Thread(target=call)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_on_the_home_thread_it_runs_at_once():
    async def main():
        seen = []
        Dispatcher()(lambda: seen.append(threading.get_ident()))
        return seen

    assert asyncio.run(main()) == [threading.get_ident()]


def test_from_another_thread_it_runs_on_the_home_loop_in_order():
    async def main():
        dispatch = Dispatcher()
        seen = []
        done = asyncio.Event()

        def send():
            for i in range(50):
                dispatch(lambda i=i: seen.append((i, threading.get_ident())))
            dispatch(done.set)

        from_other_thread(send)  # the loop is busy meanwhile, as with a running cell
        assert seen == []
        await asyncio.wait_for(done.wait(), 10)
        return seen

    home = threading.get_ident()
    assert asyncio.run(main()) == [(i, home) for i in range(50)]


def test_the_context_of_the_caller_is_kept():
    parent = contextvars.ContextVar("parent", default="none")

    async def main():
        dispatch = Dispatcher()
        seen = []
        done = asyncio.Event()

        def send():
            parent.set("message 7")
            dispatch(lambda: (seen.append(parent.get()), done.set()))

        from_other_thread(send)
        await asyncio.wait_for(done.wait(), 10)
        return seen

    assert asyncio.run(main()) == ["message 7"]


def test_without_a_loop_calls_from_threads_run_one_at_a_time():
    dispatch = Dispatcher()
    assert dispatch.loop is None
    inside, most, total = 0, 0, 0

    def work():
        nonlocal inside, most, total
        inside += 1
        most = max(most, inside)
        threading.Event().wait(0.001)
        total += 1
        inside -= 1

    threads = [threading.Thread(target=dispatch, args=(work,)) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(10)
    assert (most, total) == (1, 8)


def test_after_the_home_loop_was_closed_it_still_runs():
    async def main():
        return Dispatcher()

    dispatch = asyncio.run(main())
    seen = []
    from_other_thread(lambda: dispatch(lambda: seen.append(1)))
    assert seen == [1]


def test_a_failing_callback_is_logged_with_its_traceback(caplog):
    def fail():
        raise KeyError("lost")

    with caplog.at_level(logging.ERROR, logger="lliso.apps"):
        Dispatcher()(fail)
    (record,) = caplog.records
    assert record.exc_info[0] is KeyError


@pytest.mark.parametrize("times", [3])
def test_a_callback_may_call_the_dispatcher_again(times):
    dispatch, seen = Dispatcher(), []

    def again(left):
        seen.append(left)
        if left:
            dispatch(lambda: again(left - 1))

    dispatch(lambda: again(times))
    assert seen == [3, 2, 1, 0]
