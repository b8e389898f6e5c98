"""Which questions ask for a list or a count of documents, in nine languages, and which do not."""

from __future__ import annotations

import pytest

from rag.listing import Listing, read_listing


@pytest.mark.parametrize(
    ("question", "topic"),
    [
        ("Which of these contracts have a non-compete clause?", "a non-compete clause?"),
        ("Which documents mention solar panels?", "solar panels?"),
        ("In which files is the key described?", "is the key described?"),
        ("Please list all the suppliers in Spain", "suppliers in Spain"),
        ("Which contracts can be ended without notice?", "can be ended without notice?"),
        ("Welche dieser Verträge enthalten eine Frist?", "eine Frist?"),
        ("In welchen Dokumenten wird Berlin erwähnt?", "Berlin?"),
        ("Welche Mietverträge laufen 2025 aus?", "laufen 2025 aus?"),
        ("Nenne alle Fristen.", "Fristen."),
        ("Quels contrats mentionnent un préavis ?", "un préavis ?"),
        ("Lesquels de ces contrats prévoient un préavis ?", "un préavis ?"),
        ("Liste tous les délais", "délais"),
        ("¿Qué contratos mencionan una fianza?", "una fianza?"),
        ("¿En cuáles de estos contratos hay fianza?", "hay fianza?"),
        ("Enumera todos los plazos", "plazos"),
        ("Quais contratos mencionam uma multa?", "uma multa?"),
        ("Liste todos os prazos", "prazos"),
        ("أي من هذه العقود تتضمن شرط عدم المنافسة؟", "شرط عدم المنافسة؟"),
        ("اذكر جميع المواعيد", "المواعيد"),
        ("どの契約書に違約金がありますか", "違約金がありますか"),
        ("締め切りをすべて挙げてください", "締め切り"),
        ("어떤 문서들이 서울을 언급합니까?", "서울을 언급합니까?"),
        ("기한을 모두 나열하세요", "기한을"),
        ("哪些合同提到违约金？", "违约金？"),
        ("列出所有截止日期", "截止日期"),
    ],
)
def test_a_listing_question_leaves_what_each_document_is_asked(question, topic):
    assert read_listing(question) == Listing(topic)


@pytest.mark.parametrize(
    ("question", "topic"),
    [
        ("How many documents mention Berlin?", "Berlin?"),
        ("How many contracts end in 2026?", "in 2026?"),
        ("In how many documents is Berlin mentioned?", "Berlin?"),
        ("In wie vielen Dokumenten wird Berlin erwähnt?", "Berlin?"),
        ("How many of our reports discuss the merger?", "the merger?"),
        ("Wie viele Dateien erwähnen Solarzellen?", "Solarzellen?"),
        ("Combien de documents mentionnent Paris ?", "Paris ?"),
        ("¿Cuántos documentos mencionan Madrid?", "Madrid?"),
        ("Quantos documentos mencionam Lisboa?", "Lisboa?"),
        ("كم من الوثائق تذكر برلين؟", "برلين؟"),
        ("いくつの文書が東京に言及していますか", "東京に言及していますか"),
        ("몇 개의 문서가 서울을 언급하나요?", "서울을 언급하나요?"),
        ("有多少份文件提到北京？", "北京？"),
    ],
)
def test_a_counting_question_is_one_that_counts_documents(question, topic):
    assert read_listing(question) == Listing(topic, counting=True)


@pytest.mark.parametrize(
    "question",
    [
        "Which year did the contract end?",
        "How many people live in Berlin?",
        "How many files fit on a disk?",
        "How many contracts did he sign?",
        "How many books are endorsed by the library?",
        "How many articles have to be ratified?",
        "How many books have been written about Lincoln?",
        "How many policies have a deductible?",
        "Wie viele Artikel haben die Grundrechte?",
        "Combien de livres ont été vendus ?",
        "¿Cuántos libros tienen las bibliotecas?",
        "いくつの契約が必要ですか",
        "Which documents are accepted as proof of identity?",
        "Which documents have to be submitted with the application?",
        "Which files does the installer create?",
        "Which contracts did Lockheed win in 1955?",
        "Welche Verträge schloss Napoleon?",
        "Welche Dokumente werden benötigt?",
        "Quais documentos são necessários?",
        "办理签证需要哪些文件？",
        "どの書類が必要ですか？",
        "What documents do I need to open an account?",
        "Which documents do I need to open an account?",
        "Which document ended the war?",
        "Which of the two armies won?",
        "What is all this about?",
        "Name the capital of France.",
        "Welcher Vertrag beendete den Krieg?",
        "Quels documents faut-il pour voter ?",
        "¿Qué documentos necesito para votar?",
        "¿Qué informes siguen otro procedimiento que los informes de evaluación?",
        "¿Cuántos libros escribió Cervantes?",
        "どの国が勝ちましたか",
        "몇 개의 섬이 있습니까?",
        "有多少人住在北京？",
        "",
    ],
)
def test_any_other_question_is_none(question):
    assert read_listing(question) is None
