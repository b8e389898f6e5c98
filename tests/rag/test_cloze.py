"""Sentences become questions that they answer, or are left alone."""

from random import Random

import pytest

from rag.cloze import GAP, asked

LONG = "and this goes on for long enough to be a sentence of its own"


def ask(sentence):
    return asked(sentence, chance=Random(0))


@pytest.mark.parametrize(
    ("sentence", "answer"),
    [
        ("The harbour library opens its doors at 10:00 on weekdays.", "10:00"),
        (f"Leave grew by 12.5 % last year, {LONG}.", "12.5 %"),
        (f"The staff trip goes to Lindholm, {LONG}.", "Lindholm"),
        ("Während der Woche öffnet die Bücherei am Hafen um 9.30 Uhr.", "9.30"),
        ("Le bateau quitte le quai de la gare maritime à 17:55 précises.", "17:55"),
        ("Tras la batalla navegaron de vuelta hasta el puerto de Cádiz.", "Cádiz"),
        ("Os alertas são enviados pelo sistema em até 48 horas úteis.", "48"),
        ("职工累计工作已满十年不满二十年的，年休假为10天，按规定享受。", "10天"),
        ("その年の三月三日に起った現象は「三陸大津浪」と呼ばれている。", "三陸大津浪"),
        ("저희 프로젝트에는 지금까지 모두 350명이 넘는 사람이 참여했습니다.", "350명"),
        ("쿠버네티스, 레일스 및 스위프트를 포함한 40,000개의 프로젝트가 사용합니다.", "40,000개"),
        ("تفتح المكتبة أبوابها للزوار كل يوم في الساعة 10 صباحا وتغلق مساء.", "10"),
    ],
)
def test_a_sentence_gets_a_gap_where_its_number_name_or_title_stood(sentence, answer):
    made = ask(sentence)
    assert made.kind == "gap"
    assert made.answer == answer
    assert made.question.replace(GAP, answer) == sentence
    assert answer not in made.question


@pytest.mark.parametrize(
    ("sentence", "question", "answer"),
    [
        ("Kubernetes is a system for running containers, and it is large.", "What is Kubernetes?",
         "a system for running containers"),
        ("Postgres es una base de datos que se usa en muchas empresas.", "¿Qué es Postgres?",
         "una base de datos"),
        ("開発環境とは、プログラムを書いて試すための道具を一つに集めたものです。",
         "開発環境とは何ですか？", "プログラムを書いて試すための道具を一つに集めたもの"),
    ],
)  # fmt: skip
def test_a_definition_is_asked_for(sentence, question, answer):
    made = ask(sentence)
    assert (made.question, made.answer, made.kind) == (question, answer, "definition")
    assert made.answer in sentence


@pytest.mark.parametrize(
    "sentence",
    [
        "Short, in 1911.",
        f"It opened in 1911, {LONG}.",
        f"This library opened in 1911, {LONG}.",
        f"in 1911 it opened, {LONG}.",
        f"3. dass die Bücherei 1911 geöffnet wurde, {LONG}.",
        f"A heading that counts to 1911 and does not end, {LONG}",
        f"See https://example.org/1911 for the rest, {LONG}.",
        f"| 1911 | 1912 | 1913 | {LONG} |.",
        f"Nothing in here can be asked for, {LONG}.",
        f"Of 12 boats there are 12 that leave, {LONG}.",
        f"Is 1911 the year, {LONG}?",
        "The year 1911 " + "was a good year " * 30 + ".",
        f"The library (built in 1911, {LONG}.",
    ],
)
def test_what_is_no_plain_sentence_is_left_alone(sentence):
    assert ask(sentence) is None


def test_the_same_chance_leaves_the_same_gap():
    sentence = "From 1 July to 31 August the library opens at 10:00 and closes at 18:30."
    answers = {asked(sentence, chance=Random(seed)).answer for seed in range(20)}
    assert len(answers) > 2
    assert ask(sentence) == ask(sentence)
