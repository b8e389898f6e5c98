"""The output of a response, as items and as the events that build them up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rag.server.outcome import Outcome
from rag.server.sse import event

Json = dict[str, Any]


def items(outcome: Outcome, response: str, *, with_logprobs: bool) -> list[Json]:
    """The output of a response: its message, if it says anything, and its calls."""
    message = _message(response, outcome, with_logprobs=with_logprobs)
    calls = [
        {
            "type": "function_call",
            "id": f"fc_{id_}",
            "call_id": id_,
            "name": name,
            "arguments": arguments,
            "status": "completed",
        }
        for id_, name, arguments in outcome.calls
    ]
    return [*([message] if outcome.text or not calls else []), *calls]


def _message(response: str, outcome: Outcome, *, with_logprobs: bool) -> Json:
    part = _part(outcome.text, outcome.annotations)
    part["logprobs"] = outcome.logprobs if with_logprobs else []
    return {
        "type": "message",
        "id": _message_id(response),
        "role": "assistant",
        "status": "completed" if outcome.complete else "incomplete",
        "content": [part],
    }


def _part(text: str, annotations: list[Json]) -> Json:
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}


def _message_id(response: str) -> str:
    return response.replace("resp_", "msg_", 1)


class Events:
    """Numbers the events of one response, and knows whether its message has begun."""

    def __init__(self, frame: Json) -> None:
        self._id = frame["id"]
        self._number = 0
        self._begun = False

    def say(self, name: str, fields: Json) -> bytes:
        """One event."""
        value = {"type": name, "sequence_number": self._number, **fields}
        self._number += 1
        return event(name, value)

    def text(self, piece: str) -> Iterator[bytes]:
        """A piece of the message's text."""
        yield from self._begin()
        yield self._of_part("response.output_text.delta", {"delta": piece, "logprobs": []})

    def end(self, reply: Json) -> Iterator[bytes]:
        """What is left to say of a finished response."""
        for place, item in enumerate(reply["output"]):
            finish = self._end_message if item["type"] == "message" else self._call
            yield from finish(place, item)
        name = "response.completed" if reply["status"] == "completed" else "response.incomplete"
        yield self.say(name, {"response": reply})

    def _begin(self) -> Iterator[bytes]:
        if self._begun:
            return
        self._begun = True
        item = {
            "type": "message",
            "id": _message_id(self._id),
            "role": "assistant",
            "status": "in_progress",
            "content": [],
        }
        yield self.say("response.output_item.added", {"output_index": 0, "item": item})
        yield self._of_part("response.content_part.added", {"part": _part("", [])})

    def _end_message(self, place: int, item: Json) -> Iterator[bytes]:
        yield from self._begin()
        [part] = item["content"]
        for number, annotation in enumerate(part["annotations"]):
            added = {"annotation_index": number, "annotation": annotation}
            yield self._of_part("response.output_text.annotation.added", added)
        done = {"text": part["text"], "logprobs": part["logprobs"]}
        yield self._of_part("response.output_text.done", done)
        yield self._of_part("response.content_part.done", {"part": part})
        yield self.say("response.output_item.done", {"output_index": place, "item": item})

    def _call(self, place: int, item: Json) -> Iterator[bytes]:
        begun = {**item, "arguments": "", "status": "in_progress"}
        where = {"item_id": item["id"], "output_index": place}
        whole = {"arguments": item["arguments"], "name": item["name"]}
        arguments = "response.function_call_arguments"
        yield self.say("response.output_item.added", {"output_index": place, "item": begun})
        yield self.say(f"{arguments}.delta", {**where, "delta": item["arguments"]})
        yield self.say(f"{arguments}.done", {**where, **whole})
        yield self.say("response.output_item.done", {"output_index": place, "item": item})

    def _of_part(self, name: str, fields: Json) -> bytes:
        where = {"item_id": _message_id(self._id), "output_index": 0, "content_index": 0}
        return self.say(name, {**where, **fields})
