"""Small files of many formats, made here from nothing, and so free of anyone's rights."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO

_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
_P = 'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'
_S = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
_OFFICE = "application/vnd.openxmlformats-officedocument."
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"


def zipped(parts: Mapping[str, str | bytes]) -> bytes:
    """A zip archive with these files, in order."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _office(kinds: Mapping[str, str], main: str, parts: Mapping[str, str]) -> bytes:
    overrides = "".join(
        f'<Override PartName="/{part}" ContentType="{_OFFICE}{kind}+xml"/>'
        for part, kind in kinds.items()
    )
    types = "http://schemas.openxmlformats.org/package/2006/content-types"
    return zipped(
        {
            "[Content_Types].xml": f'<Types xmlns="{types}"><Default Extension="rels" ContentType='
            '"application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Default Extension="xml" ContentType="application/xml"/>{overrides}</Types>',
            "_rels/.rels": _relations({"officeDocument": main}),
            **parts,
        }
    )


def _relations(targets: Mapping[str, str]) -> str:
    links = "".join(
        f'<Relationship Id="rId{n}" Type="{_RELATION}{kind.rstrip("0123456789")}" Target="{to}"/>'
        for n, (kind, to) in enumerate(targets.items(), 1)
    )
    space = "http://schemas.openxmlformats.org/package/2006/relationships"
    return f'<Relationships xmlns="{space}">{links}</Relationships>'


def docx(paragraphs: Sequence[tuple[int, str]], table: Sequence[Sequence[str]] = ()) -> bytes:
    """A Word document: (heading level or 0, text) each, then a table."""
    body = ""
    for level, text in paragraphs:
        style = f'<w:pPr><w:pStyle w:val="Heading{level}"/></w:pPr>' if level else ""
        body += f'<w:p>{style}<w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'
    rows = "".join(
        f"<w:tr>{''.join(f'<w:tc><w:p><w:r><w:t>{c}</w:t></w:r></w:p></w:tc>' for c in row)}</w:tr>"
        for row in table
    )
    body += f"<w:tbl>{rows}</w:tbl>" if rows else ""
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="Heading{n}"><w:name w:val="heading {n}"/>'
        "</w:style>"
        for n in range(1, 4)
    )
    return _office(
        {
            "word/document.xml": "wordprocessingml.document.main",
            "word/styles.xml": "wordprocessingml.styles",
        },
        "word/document.xml",
        {
            "word/document.xml": f"<w:document {_W}><w:body>{body}</w:body></w:document>",
            "word/styles.xml": f"<w:styles {_W}>{styles}</w:styles>",
            "word/_rels/document.xml.rels": _relations({"styles": "styles.xml"}),
        },
    )


def pptx(slides: Sequence[tuple[str, str]]) -> bytes:
    """A presentation: (title, text) for each slide."""
    parts = {}
    for number, (title, text) in enumerate(slides, 1):
        shapes = ""
        for kind, words in (("title", title), ("body", text)):
            shapes += (
                f'<p:sp><p:nvSpPr><p:cNvPr id="{len(shapes) + 2}" name="{kind}"/><p:cNvSpPr/>'
                f'<p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/>'
                f"<a:p><a:r><a:t>{words}</a:t></a:r></a:p></p:txBody></p:sp>"
            )
        parts[f"ppt/slides/slide{number}.xml"] = (
            f"<p:sld {_P} {_A}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>"
        )
    links = {f"slide{n}": f"slides/slide{n}.xml" for n in range(1, len(slides) + 1)}
    ids = "".join(f'<p:sldId id="{255 + n}" r:id="rId{n}"/>' for n in range(1, len(slides) + 1))
    presentation = f"<p:presentation {_P} {_R}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>"
    kinds = {part: "presentationml.slide" for part in parts}
    kinds["ppt/presentation.xml"] = "presentationml.presentation.main"
    return _office(
        kinds,
        "ppt/presentation.xml",
        {
            "ppt/presentation.xml": presentation,
            "ppt/_rels/presentation.xml.rels": _relations(links),
            **parts,
        },
    )


def xlsx(sheets: Mapping[str, Sequence[Sequence[str | int]]]) -> bytes:
    """A workbook: rows of cells by the name of the sheet."""
    parts, names = {}, ""
    for number, (name, rows) in enumerate(sheets.items(), 1):
        names += f'<sheet name="{name}" sheetId="{number}" r:id="rId{number}"/>'
        lines = ""
        for r, row in enumerate(rows, 1):
            cells = ""
            for c, value in enumerate(row):
                place = f'r="{chr(65 + c)}{r}"'
                if isinstance(value, int):
                    cells += f"<c {place}><v>{value}</v></c>"
                elif value:
                    cells += f'<c {place} t="inlineStr"><is><t>{value}</t></is></c>'
            lines += f'<row r="{r}">{cells}</row>'
        parts[f"xl/worksheets/sheet{number}.xml"] = (
            f"<worksheet {_S}><sheetData>{lines}</sheetData></worksheet>"
        )
    kinds = {part: "spreadsheetml.worksheet" for part in parts}
    kinds["xl/workbook.xml"] = "spreadsheetml.sheet.main"
    links = {f"worksheet{n}": f"worksheets/sheet{n}.xml" for n in range(1, len(sheets) + 1)}
    workbook = f"<workbook {_S} {_R}><sheets>{names}</sheets></workbook>"
    return _office(
        kinds,
        "xl/workbook.xml",
        {
            "xl/workbook.xml": workbook,
            "xl/_rels/workbook.xml.rels": _relations(links),
            **parts,
        },
    )


def epub(chapters: Mapping[str, str]) -> bytes:
    """A book: text by the title of its chapter."""
    items = "".join(
        f'<item id="c{n}" href="c{n}.xhtml" media-type="application/xhtml+xml"/>'
        for n in range(len(chapters))
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    pages = {
        f"OEBPS/c{n}.xhtml": '<html xmlns="http://www.w3.org/1999/xhtml"><body>'
        f"<h1>{title}</h1><p>{text}</p></body></html>"
        for n, (title, text) in enumerate(chapters.items())
    }
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container version="1.0" xmlns="urn:oasis:names:tc:'
            'opendocument:xmlns:container"><rootfiles><rootfile full-path="OEBPS/book.opf" '
            'media-type="application/oebps-package+xml"/></rootfiles></container>',
            "OEBPS/book.opf": '<package xmlns="http://www.idpf.org/2007/opf" version="3.0">'
            '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>A book</dc:title>'
            f"</metadata><manifest>{items}</manifest><spine>{spine}</spine></package>",
            **pages,
        }
    )


def odt(paragraphs: Sequence[str]) -> bytes:
    """An OpenDocument text."""
    space = "urn:oasis:names:tc:opendocument:xmlns:"
    body = "".join(f"<text:p>{paragraph}</text:p>" for paragraph in paragraphs)
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": f'<office:document-content xmlns:office="{space}office:1.0" '
            f'xmlns:text="{space}text:1.0"><office:body><office:text>{body}</office:text>'
            "</office:body></office:document-content>",
        }
    )


def pdf(
    pages: Sequence[str],
    *,
    password: str | None = None,
    attached: tuple[str, bytes] | None = None,
    picture: bool = False,
) -> bytes:
    """A PDF with one line of text on each page, set in a font that every reader has.

    With a password it is encrypted (40-bit RC4, the standard's first scheme); `attached` is a file
    in it; `picture` draws a grey square on each page.
    """
    count = len(pages)
    kids = " ".join(f"{5 + 2 * n} 0 R" for n in range(count))
    names = "/Names << /EmbeddedFiles << /Names [(f) 3 0 R] >> >>" if attached else ""
    spec = f"<< /Type /Filespec /F ({attached[0]}) /EF << /F 4 0 R >> >>" if attached else "null"
    payload = attached[1] if attached else b""
    bodies: dict[int, tuple[str, bytes | None]] = {
        1: (f"<< /Type /Catalog /Pages 2 0 R {names} >>", None),
        2: (f"<< /Type /Pages /Kids [{kids}] /Count {count} >>", None),
        3: (spec, None),
        4: ("/Type /EmbeddedFile", payload),
    }
    for n, text in enumerate(pages):
        page = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {6 + 2 * n} 0 R "
            "/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> "
            ">> >>"
        )
        drawn = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET".encode("latin-1") if text else b""
        if picture:
            drawn += b"\nq 99 0 0 99 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x80 EI Q"
        bodies[5 + 2 * n] = (page, None)
        bodies[6 + 2 * n] = ("", drawn)
    identity = hashlib.md5(b"tests").digest()
    key = _key(password, identity) if password is not None else None
    out, places = b"%PDF-1.4\n", {}
    for number, (head, stream) in bodies.items():
        places[number] = len(out)
        if stream is not None:
            stream = _rc4(_object_key(key, number), stream) if key else stream
            body = (
                f"<< {head} /Length {len(stream)} >>\nstream\n".encode() + stream + b"\nendstream"
            )
        else:
            body = head.encode()
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    start = len(out)
    table = "".join(f"{places[number]:010} 00000 n \n" for number in bodies)
    out += f"xref\n0 {len(bodies) + 1}\n0000000000 65535 f \n{table}".encode()
    lock = _lock(password, key, identity) if password is not None and key else ""
    trailer = f"<< /Size {len(bodies) + 1} /Root 1 0 R {lock} >>"
    return out + f"trailer\n{trailer}\nstartxref\n{start}\n%%EOF\n".encode()


_PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")
_PERMISSIONS = -4


def _owner(password: str) -> bytes:
    padded = (password.encode("latin-1") + _PADDING)[:32]
    return _rc4(hashlib.md5(padded).digest()[:5], padded)


def _key(password: str, identity: bytes) -> bytes:
    padded = (password.encode("latin-1") + _PADDING)[:32]
    permissions = _PERMISSIONS.to_bytes(4, "little", signed=True)
    return hashlib.md5(padded + _owner(password) + permissions + identity).digest()[:5]


def _object_key(key: bytes, number: int) -> bytes:
    return hashlib.md5(key + number.to_bytes(3, "little") + b"\0\0").digest()[:10]


def _lock(password: str, key: bytes, identity: bytes) -> str:
    user = _rc4(key, _PADDING)
    return (
        f"/Encrypt << /Filter /Standard /V 1 /R 2 /O <{_owner(password).hex()}> /U <{user.hex()}> "
        f"/P {_PERMISSIONS} >> /ID [<{identity.hex()}> <{identity.hex()}>]"
    )


def _rc4(key: bytes, data: bytes) -> bytes:
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    i = j = 0
    out = bytearray()
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)
