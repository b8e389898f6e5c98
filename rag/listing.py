"""Does a question ask about many documents: which of them, how many of them, all there is?

Plain patterns of words in nine languages, narrow ones: "which of these contracts", "how many files
mention", "list all". Knows no index and no model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listing:
    """A question over many documents: what to ask of each, and whether to count them."""

    topic: str
    counting: bool = False


def read_listing(question: str) -> Listing | None:
    """What a listing or counting question asks of each document; None of any other question."""
    text = " ".join(question.split())
    for counting, pattern in _PATTERNS:
        if (found := pattern.search(text)) is not None:
            rest = f"{text[: found.start()]} {text[found.end() :]}"
            topic = " ".join(rest.split()).lstrip("¿ ") if re.search(r"\w", rest) else text
            return Listing(_PASSIVE.sub(r"\1?", topic), counting)
    return None


@dataclass(frozen=True, slots=True)
class _Words:
    """How one language asks; each an expression of alternatives.

    `sure` names of documents hardly mean anything else in a question; `other` ones ("letters")
    count only behind words that point at them (`of`). What documents `do` belongs to the pattern,
    as the topic of a search has no use for it; `inside` asks for a count of what something is in.
    `all` is a demand for everything.
    """

    which: str
    many: str
    of: str
    sure: str
    other: str
    do: str
    all: str
    inside: str | None = None

    def patterns(self) -> list[tuple[bool, re.Pattern[str]]]:
        """(is it to be counted, what to look for), the first that is found counts."""
        named = f"(?:{self.sure}|{self.other})"
        meant = rf"\s*(?:(?:{self.of})\s*{named}|(?:{self.sure}))"
        found = [
            (True, rf"(?:{self.many}){meant}\s*(?:{self.do})"),
            (False, rf"(?:{self.which}){meant}(?:\s*(?:{self.do}))?"),
            (False, self.all),
        ]
        if self.inside is not None:
            found.insert(0, (True, rf"(?:{self.inside}){meant}"))
        return [(counting, re.compile(text, re.IGNORECASE)) for counting, text in found]


_FR_DO = (
    r"(?:mentionnent|contiennent|parlent|évoquent|citent|incluent|ont(?! été\b)|prévoient|traitent"
    r"|décrivent|exigent)\b"
)
_ES_DO = r"(?:mencionan|contienen|hablan|incluyen|citan|tienen|tratan|exigen|describen)\b"
_LANGUAGES = (
    _Words(  # English
        which=r"\b(?:in )?which\b",
        many=r"\bhow many\b",
        inside=r"\bin how many\b",
        of=r"(?:(?:of|these|those|my|our|the|all)\s+)+",
        sure=r"(?:documents|files|pdfs|e-?mails|mails|contracts|invoices|leases|memos)\b"
        r"(?! (?:do|does|did|should|must|can|could)\b(?! not\b)(?! be\b)"
        r"| (?:(?:are|is|must be) )?(?:needed|required|accepted|necessary|valid)\b"
        r"| (?:have|has) to\b)",
        other=r"(?:agreements|reports|papers|articles|letters|notes|policies|offers|books|pages)\b",
        do=r"(?:mention|contain|include|refer to|discuss|cover|say|state|talk about|deal with"
        r"|are about|have(?! to\b| been\b)|require|describe|name|end|expire|start|begin)\b",
        all=r"\A(?:please )?(?:list|enumerate|name|show|find|give)(?: me)? (?:all|every|each)\b"
        r"(?: of)?(?: the)?",
    ),
    _Words(  # German
        which=r"\b(?:in )?welche[mnrs]?\b",
        many=r"\bwie ?viele\b",
        inside=r"\bin wie ?vielen\b",
        of=r"(?:(?:von|der|den|dieser|diesen|meiner|meinen|unserer|unseren)\s+)+",
        sure=r"(?:Dokumenten?|Dateien|PDFs|E-?Mails|Mails|(?:\w+)?verträgen?|Rechnungen)\b"
        r"(?! (?:brauch|benötig|muss|müssen|soll|schloss|sind (?:nötig|erforderlich|notwendig))"
        r"| werden (?:benötigt|gebraucht|verlangt))",
        other=r"(?:Berichten?|Protokollen?|Briefen?|Artikeln?|Notizen|Angeboten?|Texten?|Büchern?)\b",
        do=r"(?:erwähnen|enthalten|nennen|behandeln|haben|verlangen|beschreiben|sagen|betreffen"
        r"|regeln|sprechen von)\b",
        all=r"\A(?:bitte )?(?:liste|nenne|zähle?|zeige?|finde|gib)(?: mir| bitte)*"
        r" (?:alle|sämtliche|jede[nrs]?)\b",
    ),
    _Words(  # French
        which=rf"\b(?:dans )?(?:lesquel(?:le)?s\b|quel(?:le)?s\b(?= \w+ {_FR_DO}))"
        r"|\bdans quel(?:le)?s\b",
        many=r"\bcombien (?:de\b|d['’])",
        inside=r"\bdans combien (?:de\b|d['’])",
        of=r"(?:(?:de|parmi|ces|mes|nos|les)\s+)+",
        sure=r"(?:documents|fichiers|pdf|courriels|e-?mails|mails|contrats|factures|baux)\b",
        other=r"(?:rapports|lettres|articles|notes|offres|textes|livres|accords)\b",
        do=_FR_DO,
        all=r"\A(?:liste[rz]?|énum[eè]re[rz]?|cite[rz]?|donne[rz]?|montre[rz]?|trouve[rz]?)(?:-moi)?"
        r" (?:tou(?:te)?s|chaque)\b(?: les)?",
    ),
    _Words(  # Spanish
        which=rf"\b(?:en )?(?:cu[aá]les\b|qué\b(?= \w+ {_ES_DO}))",
        many=r"\bcu[aá]nt[oa]s\b",
        inside=r"\ben cu[aá]nt[oa]s\b",
        of=r"(?:(?:de|estos|estas|esos|esas|mis|nuestros|nuestras|los|las)\s+)+",
        sure=r"(?:documentos|archivos|ficheros|pdfs?|correos|e-?mails|contratos|facturas)\b",
        other=r"(?:informes|cartas|artículos|notas|ofertas|textos|libros|acuerdos)\b",
        do=_ES_DO,
        all=r"\A(?:lista|enumera|nombra|muestra|encuentra|haz una lista de)(?:me)?"
        r" (?:tod[oa]s|cada)\b(?: l[oa]s)?",
    ),
    _Words(  # Portuguese
        which=r"\b(?:em )?quais\b",
        many=r"\bquant[oa]s\b",
        inside=r"\bem quant[oa]s\b",
        of=r"(?:(?:d[eao]s?|d?est[ea]s|d?ess[ea]s|meus|minhas|noss[oa]s|os|as)\s+)+",
        sure=r"(?:documentos|arquivos|ficheiros|pdfs?|e-?mails|contratos|faturas)\b"
        r"(?! (?:são (?:necessári|precis|exigid)|preciso|devo)\w*)",
        other=r"(?:relatórios|cartas|artigos|notas|ofertas|textos|livros|acordos)\b",
        do=r"(?:mencionam|cont[eê]m|falam|citam|incluem|t[eê]m|tratam|exigem|descrevem)\b",
        all=r"\A(?:liste|enumere|cite|mostre|encontre)(?:-me| me)? (?:tod[oa]s|cada)\b(?: [oa]s)?",
    ),
    _Words(  # Arabic
        which=r"(?<!\w)(?:في )?أي(?:ة)?(?!\w)",
        many=r"(?<!\w)كم(?: عدد)?(?!\w)",
        inside=r"(?<!\w)في كم(?!\w)",
        of=r"(?:(?:من|هذه|تلك)\s+)+",
        sure=r"(?:الوثائق|المستندات|الملفات|العقود|الفواتير)",
        other=r"(?:التقارير|الرسائل)",
        do=r"(?:التي )?(?:تذكر|تحتوي على|تحتوي|تتضمن|تتحدث عن|تشير إلى|تنص على)",
        all=r"\A(?:اذكر|اسرد|عدد|أعطني|اعرض)(?: لي)? (?:جميع|كل|كافة) ",
    ),
    _Words(  # Japanese
        which=r"どの|(?:これら|それら|この中)の",
        many=r"(?:いくつ|何件|何通|何本)の",
        of=r"うちの?",
        sure=r"(?:ファイル|メール|契約書|書類|文書)(?:のうち|の中で?)?(?:、?どれ)?(?:に|が|で)"
        r"(?!必要|いり|要り)",
        other=r"(?:資料|契約|報告書|請求書|議事録)(?:に|が|で)?",
        do=r"",
        all=r"を?(?:すべて|全て|全部)(?:列挙|リストアップ|挙げて)(?:して)?(?:ください)?",
    ),
    _Words(  # Korean
        which=r"(?:어떤|어느)",
        many=r"몇 ?(?:개|건|통)의",
        of=r"이",
        sure=r"(?:(?:문서|파일|계약서|메일|이메일)들|문서|파일)(?:이|가|에|에서)?(?! *필요)",
        other=r"(?:계약서?|메일|보고서|청구서|자료|회의록)(?:들)?(?:이|가|에|에서)?",
        do=r"",
        all=r"(?:모두|전부) (?:나열|열거)(?:하세요|해 ?주세요|하시오)?",
    ),
    _Words(  # Chinese
        which=r"(?<!需要)(?<!要)(?<!提交)(?<!准备)哪些|(?=[这這]些\w{2,5}哪)",
        many=r"有?多少[份个封個]?",
        of=r"[这這]些",
        sure=r"(?:文件|文档|合同|邮件|发票|合约|合約|郵件)中?",
        other=r"(?:报告|報告|协议|協議|资料|資料)中?",
        do=r"(?:提到|包含|涉及|含有|提及|规定|規定|写明)了?",
        all=r"\A[请請]?(?:列出|列举|列舉|找出)(?:所有|全部|每)",
    ),
)
_PASSIVE = re.compile(
    r"^(?:is|are|was|were|wird|werden|wurden?)\s+(.+?)\s+"
    r"(?:mentioned|named|discussed|referred to|erwähnt|genannt)\s*\?*$",
    re.IGNORECASE,
)
_PATTERNS = [pattern for language in _LANGUAGES for pattern in language.patterns()]
