"""Completions of raw text, embeddings, reranking, the list of models, health, metrics, OpenAPI."""

import base64
import re

import numpy as np
import pytest

from tests.fakes import FakeEncoder
from tests.rag.server.client import FakeBackbone, serving

TOGETHER = {"user-agent": "Together/Python 3.1.1"}


def complete(model=None, **changes):
    model = model or FakeBackbone(" one two")
    body = {"model": "tiny", "prompt": "zero", **changes}
    return serving(model).post("/v1/completions", body), model


def test_raw_text_is_gone_on_with():
    reply, model = complete()
    assert model.asked[0]["messages"] == "zero"
    assert model.asked[0]["max_tokens"] == 16
    assert reply.json["object"] == "text_completion"
    [choice] = reply.json["choices"]
    assert (choice["text"], choice["finish_reason"]) == (" one two", "stop")


def test_prompts_and_choices_are_numbered_through_and_each_prompt_counts_once():
    reply, model = complete(prompt=["a", "b"], n=2, seed=1, echo=True)
    assert [(asked["messages"], asked["sampling"].seed) for asked in model.asked] == [
        ("a", 1),
        ("a", 2),
        ("b", 1),
        ("b", 2),
    ]
    assert [(c["index"], c["text"][0]) for c in reply.json["choices"]] == [
        (0, "a"),
        (1, "a"),
        (2, "b"),
        (3, "b"),
    ]
    assert reply.json["usage"]["prompt_tokens"] == 14


@pytest.mark.parametrize("echo", [False, True])
def test_a_stream_of_text_is_the_whole_text(echo):
    whole, _ = complete(echo=echo)
    chunks = complete(stream=True, echo=echo)[0].chunks
    said = "".join(chunk["choices"][0]["text"] for chunk in chunks)
    assert said == whole.json["choices"][0]["text"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"] == whole.json["usage"]


def test_logprobs_of_text_are_lists():
    [choice] = complete(logprobs=2)[0].json["choices"]
    assert choice["logprobs"]["tokens"] == [" one", " two"]
    assert choice["logprobs"]["text_offset"] == [0, 4]


@pytest.mark.parametrize(
    "changes",
    [
        {"best_of": 3},
        {"suffix": "x"},
        {"prompt": []},
        {"prompt": [1, 2]},
        {"echo": True, "logprobs": 1},
    ],
)
def test_what_text_completions_cannot_do_is_refused(changes):
    assert complete(**changes)[0].status == 400


def embed(**changes):
    return serving().post("/v1/embeddings", {"model": "encoder", "input": ["a b", "c"], **changes})


def test_vectors_are_those_of_the_encoder_in_either_form():
    expected = FakeEncoder().encode_documents(["a b", "c"])
    numbers = [item["embedding"] for item in embed().json["data"]]
    assert np.allclose(numbers, expected)
    coded = [item["embedding"] for item in embed(encoding_format="base64").json["data"]]
    decoded = [np.frombuffer(base64.b64decode(text), dtype="<f4") for text in coded]
    assert np.array_equal(decoded, expected)
    assert [item["index"] for item in embed().json["data"]] == [0, 1]


def test_one_text_is_a_list_of_one_and_the_encoders_own_name_is_known():
    assert len(embed(input="a", model="fake").json["data"]) == 1


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"model": "text-embedding-3-small"}, 404),
        ({"dimensions": 8}, 400),
        ({"dimensions": 64}, 200),
        ({"input": []}, 400),
        ({"input": ""}, 400),
        ({"input": [1, 2]}, 400),
        ({"encoding_format": "hex"}, 400),
    ],
)
def test_what_the_encoder_cannot_do_is_refused(changes, status):
    assert embed(**changes).status == status


@pytest.mark.parametrize(("texts", "place"), [("", "input"), (3, "input"), (["a", ""], "input.1")])
def test_a_field_of_several_kinds_is_named_without_the_names_of_the_kinds(texts, place):
    error = embed(input=texts).error
    assert error["param"] == "input"
    assert [part.partition(": ")[0] for part in error["message"].split("; ")] == ["input", place]


def rerank(**changes):
    documents = ["cats and dogs", "the price of wheat", {"title": "wheat", "text": "price price"}]
    body = {"model": "encoder", "query": "wheat price", "documents": documents, **changes}
    return serving().post("/v1/rerank", body)


def test_documents_are_put_in_order():
    results = rerank(return_documents=True).json["results"]
    scores = [result["relevance_score"] for result in results]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert results[-1]["index"] == 0
    assert {r["index"]: r["document"] for r in results}[1] == {"text": "the price of wheat"}


def test_only_the_best_and_only_some_fields_when_asked():
    assert len(rerank(top_n=1).json["results"]) == 1
    assert "document" not in rerank().json["results"][0]
    assert rerank(rank_fields=["title"]).status == 200
    assert rerank(rank_fields=["author"]).status == 400


def test_models_are_listed_for_openais_clients_and_for_togethers():
    listed = serving().get("/v1/models").json
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["tiny", "encoder", "fake"]
    assert serving().get("/v1/models", headers=TOGETHER).json == listed["data"]
    assert serving().get("/v1/models/tiny").json == listed["data"][0]
    assert serving().get("/v1/models/a/b").status == 404


def test_health_and_metrics():
    client = serving(FakeBackbone())
    assert client.get("/health").json == {"status": "ok"}
    client.post("/v1/chat/completions", {})
    reply = client.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain")
    labels = r"(\{\w+=\"[^\"]*\"(,\w+=\"[^\"]*\")*\})?"
    line = rf"# TYPE \w+ (gauge|counter|histogram)|\w+{labels} [\d.e+-]+"
    text = reply.body.decode()
    assert all(re.fullmatch(line, row) for row in text.splitlines()), text
    assert re.search(r'requests_total\{path="/v1/chat/completions",status="400"\} [1-9]', text)
    assert "ragbone_requests_running 1" in text


def test_the_openapi_document_names_every_route_once_with_its_errors():
    document = serving().get("/openapi.json").json
    assert {
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/responses",
        "/v1/responses/{id_}",
        "/v1/embeddings",
        "/v1/rerank",
        "/v1/models",
        "/v1/models/{name}",
        "/v1/ask",
        "/v1/status",
        "/v1/documents",
        "/v1/documents/view",
        "/v1/documents/picture",
        "/v1/index",
        "/v1/folders",
        "/v1/uploads",
        "/health",
        "/metrics",
    } == set(document["paths"])
    for methods in document["paths"].values():
        for operation in methods.values():
            assert {"200", "400", "401", "403", "404", "413", "429", "503"} <= set(
                operation["responses"]
            )
            assert "422" not in operation["responses"]
