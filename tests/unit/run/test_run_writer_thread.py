"""The thread that writes: in order, never far behind the drawing, and stopped by the first error."""

import threading
import time

import pytest

from riemaug.run.writer_thread import QUEUE_LENGTH, QUEUE_VALUES, WriterThread


def test_jobs_are_done_in_their_order_and_all_of_them():
    done: list[int] = []
    with WriterThread() as writer:
        for number in range(50):
            writer.do(done.append, number, values=10)
    assert done == list(range(50))


SIZES = [(1, QUEUE_LENGTH), (QUEUE_VALUES // 2, 2), (2 * QUEUE_VALUES, 0)]


@pytest.mark.parametrize(("values", "most"), SIZES)
def test_a_slow_writer_slows_what_feeds_it(values, most):
    written, behind = 0, []

    def slow() -> None:
        nonlocal written
        time.sleep(0.005)
        written += 1

    with WriterThread() as writer:
        for number in range(30):
            writer.do(slow, values=values)
            behind.append(number + 1 - written)
    assert written == 30
    assert max(behind) <= most + 1  # one more may end between the look at it and the count
    assert max(behind) >= min(most, 1)


def test_the_first_error_is_raised_and_nothing_is_done_after_it():
    done, gate = [], threading.Event()

    def fail() -> None:
        gate.wait(5)
        raise OSError("no space left")

    def feed() -> None:
        with WriterThread() as writer:
            writer.do(done.append, 1)
            writer.do(fail)
            for number in range(4):
                writer.do(done.append, number)
            gate.set()

    with pytest.raises(OSError, match="no space left"):
        feed()
    assert done == [1]


def test_an_error_of_the_feeder_leaves_no_thread():
    def feed() -> None:
        with WriterThread() as writer:
            writer.do(time.sleep, 0.01)
            raise ValueError("feeder")

    with pytest.raises(ValueError, match="feeder"):
        feed()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("writer")]
