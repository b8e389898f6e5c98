"""A Stream gives the same pieces to whoever asks, and an end to whoever waits."""

import threading

import pytest

from backbone.request import Completion, Stream


def test_each_iteration_starts_at_the_beginning():
    stream = Stream()
    stream.push("a")
    stream.push("")
    stream.push("b")
    stream.finish(Completion("ab", "stop"))
    assert list(stream) == list(stream) == ["a", "b"]
    assert stream.result().text == "ab"


def test_pieces_arrive_while_the_producer_works():
    stream, seen = Stream(), []
    reader = threading.Thread(target=lambda: seen.extend(stream))
    reader.start()
    for piece in "abc":
        stream.push(piece)
    stream.finish(Completion("abc", "stop"))
    reader.join(timeout=5)
    assert seen == ["a", "b", "c"]


def test_a_failure_is_raised_after_the_pieces():
    stream, seen = Stream(), []
    stream.push("a")
    stream.fail(ValueError("broken"))
    stream.finish(Completion("a", "stop"))  # too late
    with pytest.raises(ValueError, match="broken"):
        for piece in stream:
            seen.append(piece)
    assert seen == ["a"]
    with pytest.raises(ValueError, match="broken"):
        stream.result()


def test_waiting_has_a_limit():
    with pytest.raises(TimeoutError, match=r"0\.01 s"):
        Stream().result(timeout=0.01)


def test_subscribers_get_past_and_future_pieces_and_the_end():
    stream, early, late, after = Stream(), [], [], []
    stream.subscribe(early.append)
    stream.push("a")
    stream.subscribe(late.append)
    stream.push("b")
    stream.finish(Completion("ab", "stop"))
    stream.subscribe(after.append)
    assert early == late == after == ["a", "b", None]


def test_a_subscriber_that_fails_hears_no_more_and_disturbs_nobody(caplog):
    stream, heard, calls = Stream(), [], []

    def fail(piece):
        calls.append(piece)
        raise RuntimeError("broken subscriber")

    stream.subscribe(fail)
    stream.subscribe(heard.append)
    stream.push("a")
    stream.push("b")
    stream.finish(Completion("ab", "stop"))
    assert (calls, heard) == (["a"], ["a", "b", None])
    assert "broken subscriber" in caplog.text


def test_cancelling_asks_the_producer_until_the_end():
    asked = []
    stream = Stream(on_cancel=lambda: asked.append(1))
    stream.cancel()
    stream.finish(Completion("", "cancelled"))
    stream.cancel()
    assert asked == [1]
