"""What a text's words tell of its language, its names and what it denies."""

import pytest

from rag.wording import denials, denied, language, names

SENTENCES = {
    "en": "The bridge was built by the city and it is open to the public.",
    "de": "Die Brücke wurde von der Stadt gebaut und ist für das Publikum offen.",
    "fr": "Le pont a été construit par la ville et il est ouvert au public.",
    "es": "El puente fue construido por la ciudad y está abierto al público.",
    "pt": "A ponte foi construída pela cidade e não está aberta ao público.",
    "ar": "بنت المدينة الجسر وهو مفتوح للجمهور.",
    "ja": "橋は市によって建てられ、公開されている。",
    "ko": "다리는 시가 건설했으며 대중에게 개방되어 있다.",
    "zh": "这座桥由市政府建造，向公众开放。",
}


@pytest.mark.parametrize("lang", SENTENCES)
def test_the_language_is_told_by_script_and_common_words(lang):
    assert language(SENTENCES[lang]) == lang


def test_a_name_is_a_run_of_capitalised_words():
    text = "In 1901 Ada Jones met the mayor of New York; she liked it. The Hague was next."
    assert [name.text for name in names(text)] == ["Ada Jones", "New York", "Hague"]
    for name in names(text):
        assert text[name.start : name.end] == name.text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Berlin is the capital of the country.", ["Berlin"]),
        ("Rents are due on the first of the month.", ["Rents"]),  # it cannot know better
        ("However, it was the last of them.", []),
        ("Der Mieter zahlt die Miete an Angela Merkel.", ["Angela Merkel"]),
        ("最終組み立てはトゥールーズで行われた。", ["トゥールーズ"]),
        ("¿Cuándo se construyó el puente de la ciudad?", []),
        ("这座桥在北京。", []),
    ],
)
def test_where_names_are_seen(text, found):
    assert [name.text for name in names(text)] == found


@pytest.mark.parametrize(
    ("text", "much"),
    [
        ("The rent is not due.", True),
        ("It isn't due.", True),
        ("See No. 5 for the rent that is due.", False),
        ("Die Miete ist nicht fällig.", True),
        ("Le loyer n'est pas dû dans la ville.", True),
        ("El alquiler no se paga en la ciudad.", True),
        ("O aluguel não é pago.", True),
        ("O preço está no contrato de que se fala.", False),
        ("لا يدفع المستأجر الإيجار.", True),
        ("租客不支付租金。", True),
        ("租客不仅支付租金。", False),
        ("家賃を支払わない。", True),
        ("家賃が少ないと聞いた。", False),
        ("임대료를 내지 않는다.", True),
        ("임대료를 낸다.", False),
    ],
)
def test_denials_in_nine_languages(text, much):
    assert bool(denials(text)) is much


def test_what_is_denied_stands_beside_the_negation():
    assert "built" in denied("The tower was not built in the town.")
    assert "tower" not in denied("The tower was not built in the town.")
    assert denied("The tower was built.") == set()
