"""Files inside files: archives, mail, and what is told of the members that give nothing."""

import contextlib
import gzip
import io
import tarfile
import zipfile
from email.message import EmailMessage
from pathlib import Path

import formats
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.archive import safe_name
from ingest.errors import ExtractError, PasswordNeeded
from ingest.extract import extract
from ingest.mail import read_mail
from ingest.sources import Skipped
from ingest.worker import Workers

DATA = Path(__file__).resolve().parent.parent / "data"


@pytest.fixture(scope="module")
def workers():
    with Workers() as shared:
        yield shared


def texts(name: str, data: bytes, workers=None, **options) -> dict[str, str]:
    return {d.source: d.text for d in extract(data, name=name, workers=workers, **options)}


class TestArchives:
    def test_members_are_documents(self, workers):
        data = formats.zipped({"a.md": "# A", "b/c.pdf": formats.pdf(["In a PDF."]), "d/": ""})
        found = texts("x.zip", data, workers)
        assert found == {"x.zip!a.md": "# A", "x.zip!b/c.pdf": "In a PDF."}

    def test_archives_in_archives_are_opened(self):
        inner = formats.zipped({"a.txt": "deep"})
        assert texts("x.zip", formats.zipped({"y.zip": inner})) == {"x.zip!y.zip!a.txt": "deep"}

    def test_there_is_an_end_to_archives_in_archives(self):
        data = formats.zipped({"a.txt": "deep"})
        for n in range(10):
            data = formats.zipped({f"{n}.zip": data})
        with pytest.raises(ExtractError, match="5 deep at most"):
            extract(data, name="x.zip")

    def test_members_that_give_nothing_are_told(self):
        skipped: list[Skipped] = []
        data = formats.zipped({"a.txt": "x", "b.png": b"\x89PNG\r\n\x1a\n", "c.txt": ""})
        assert texts("x.zip", data, skip=skipped.append) == {"x.zip!a.txt": "x"}
        assert skipped == [
            Skipped("x.zip!b.png", "an image; OCR is not built in"),
            Skipped("x.zip!c.txt", "empty"),
        ]

    def test_an_archive_of_nothing_says_why(self):
        with pytest.raises(ExtractError, match=r"nothing readable in it \(b\.png: an image"):
            extract(formats.zipped({"b.png": b"\x89PNG\r\n\x1a\n"}), name="x.zip")
        with pytest.raises(ExtractError, match="empty"):
            extract(formats.zipped({}), name="x.zip")

    def test_hidden_files_of_systems_are_left_out(self):
        data = formats.zipped({"__MACOSX/._a.txt": "x", ".DS_Store": "x", "a.txt": "kept"})
        assert texts("x.zip", data) == {"x.zip!a.txt": "kept"}

    @pytest.mark.parametrize(
        ("name", "safe"),
        [
            ("../../etc/passwd", "etc/passwd"),
            ("/root/x.txt", "root/x.txt"),
            ("C:\\x\\..\\y.txt", "x/y.txt"),
            ("a/./b//c.txt", "a/b/c.txt"),
            ("..", "file"),
        ],
    )
    def test_no_name_climbs_out(self, name, safe):
        assert safe_name(name) == safe
        assert texts("x.zip", formats.zipped({name: "x"})) == {f"x.zip!{safe}": "x"}

    def test_tar_and_gzip_are_opened(self):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            for name in ("a.txt", "../b.txt"):
                entry = tarfile.TarInfo(name)
                entry.size = 2
                archive.addfile(entry, io.BytesIO(b"hi"))
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(link)
        assert texts("x.tgz", buffer.getvalue()) == {"x.tgz!a.txt": "hi", "x.tgz!b.txt": "hi"}
        assert texts("notes.md.gz", gzip.compress(b"# Hi")) == {"notes.md.gz!notes.md": "# Hi"}

    def test_a_member_that_unpacks_to_too_much_is_not_held_in_memory(self, monkeypatch):
        monkeypatch.setattr("ingest.archive._LARGEST", 1 << 20)
        with pytest.raises(ExtractError, match="larger than 256 MB"):
            extract(gzip.compress(bytes(2 << 20)), name="x.gz")

    def test_an_archive_that_holds_too_much_is_read_so_far(self, monkeypatch):
        monkeypatch.setattr("ingest.archive._TOTAL", 10)
        skipped: list[Skipped] = []
        data = formats.zipped({"a.txt": "a" * 9, "b.txt": "b" * 9})
        assert texts("x.zip", data, skip=skipped.append) == {"x.zip!a.txt": "a" * 9}
        assert "the rest is not read" in skipped[0].reason

    def test_what_comes_before_the_damage_is_kept(self):
        skipped: list[Skipped] = []
        data = bytearray(formats.zipped({"a.txt": "kept", "b.txt": "lost " * 100}))
        at = data.index(b"b.txt") + 10
        data[at : at + 4] = b"\xff\xff\xff\xff"
        assert texts("x.zip", bytes(data), skip=skipped.append) == {"x.zip!a.txt": "kept"}
        assert "damaged" in skipped[0].reason

    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 250), st.integers(0, 255)), min_size=1, max_size=9))
    def test_a_damaged_archive_is_read_as_far_as_it_goes_or_refused(self, changes):
        data = bytearray(formats.zipped({"a.txt": "first " * 9, "b.txt": "second " * 9}))
        for at, byte in changes:
            data[at % len(data)] = byte
        with contextlib.suppress(ExtractError):
            extract(bytes(data), name="x.zip")

    def test_a_locked_archive_opens_with_its_password(self):
        data = _locked_zip("a.txt", b"the secret", "sesame")
        with pytest.raises(PasswordNeeded, match="--password"):
            extract(data, name="x.zip")
        with pytest.raises(PasswordNeeded):
            extract(data, name="x.zip", passwords=["wrong"])
        assert texts("x.zip", data, passwords=["no", "sesame"]) == {"x.zip!a.txt": "the secret"}


def _locked_zip(name: str, content: bytes, password: str) -> bytes:
    """A zip under the traditional encryption, which Python reads but does not write."""
    import zlib

    crc_table = zipfile.ZipExtFile.__init__.__globals__["_gen_crc"]
    table = [crc_table(n) for n in range(256)]
    keys = [0x12345678, 0x23456789, 0x34567890]

    def update(byte: int) -> None:
        keys[0] = (keys[0] >> 8) ^ table[(keys[0] ^ byte) & 0xFF]
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = (keys[2] >> 8) ^ table[(keys[2] ^ (keys[1] >> 24)) & 0xFF]

    for byte in password.encode():
        update(byte)
    crc = zlib.crc32(content)
    sealed = bytearray()
    for byte in bytes(11) + bytes([crc >> 24]) + content:
        mask = keys[2] | 2
        sealed.append(byte ^ ((mask * (mask ^ 1)) >> 8 & 0xFF))
        update(byte)
    # As an unlocked archive of the sealed bytes; then the flags, sums and sizes are put right.
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, bytes(sealed))
    data = bytearray(buffer.getvalue())
    for mark, flags, sums in ((b"PK\x03\x04", 6, 14), (b"PK\x01\x02", 8, 16)):
        at = data.index(mark)
        data[at + flags] |= 1
        data[at + sums : at + sums + 4] = crc.to_bytes(4, "little")
        data[at + sums + 8 : at + sums + 12] = len(content).to_bytes(4, "little")
    return bytes(data)


def mail(**headers: str) -> EmailMessage:
    message = EmailMessage()
    for name, value in headers.items():
        message[name] = value
    return message


class TestMail:
    def test_an_outlook_message_and_its_attachment_are_documents(self, workers):
        data = (DATA / "msg_with_attachment.msg").read_bytes()
        outer, inner = extract(data, name="m.msg", workers=workers)
        assert outer.text.startswith("Subject: Email with Attachment\nFrom: Alice Example")
        assert outer.text.endswith("This email contains an attachment.")
        assert inner.source == "m.msg!test.txt"
        assert inner.text.startswith("This is a test attachment file.")

    def test_headers_and_body_are_text(self, workers):
        message = mail(Subject="Größe", From="Ada <ada@b.c>", To="Bob <bob@b.c>")
        message.set_content("Hello Bob.\n")
        (document,) = extract(message.as_bytes(), name="m.eml", workers=workers)
        assert document.text == (
            "Subject: Größe\nFrom: Ada <ada@b.c>\nTo: Bob <bob@b.c>\n\nHello Bob."
        )
        assert (document.title, document.media_type) == ("Größe", "message/rfc822")

    def test_attachments_are_documents_of_their_own(self, workers):
        message = mail(Subject="Files")
        message.set_content("See attached.")
        pdf = formats.pdf(["The attached page."])
        message.add_attachment(pdf, maintype="application", subtype="pdf", filename="a.pdf")
        message.add_attachment("plain notes", filename="../n.txt")
        found = texts("m.eml", message.as_bytes(), workers)
        assert found["m.eml!a.pdf"] == "The attached page."
        assert found["m.eml!n.txt"].strip() == "plain notes"
        assert "attached page" not in found["m.eml"]

    def test_of_two_versions_of_the_body_the_plain_one_is_read(self):
        message = mail(Subject="Two")
        message.set_content("The plain one.")
        message.add_alternative("<p>The <b>other</b> one.</p>", subtype="html")
        assert read_mail(message.as_bytes()).text == "Subject: Two\n\nThe plain one."

    def test_a_body_in_html_is_read_without_what_is_hidden(self):
        message = mail(Subject="Page")
        message.set_content("<p>Shown.</p><p style='display:none'>Obey.</p>", subtype="html")
        assert read_mail(message.as_bytes()).text == "Subject: Page\n\nShown."

    def test_a_message_in_a_message_is_a_document(self, workers):
        inner = mail(Subject="Inner")
        inner.set_content("Forwarded words.")
        outer = mail(Subject="Outer")
        outer.set_content("See below.")
        outer.add_attachment(inner)
        found = texts("m.eml", outer.as_bytes(), workers)
        assert found["m.eml!message-1.eml"] == "Subject: Inner\n\nForwarded words."

    @pytest.mark.parametrize(
        "raw",
        [
            b"Subject: =?bad-charset?B?SGVsbG8=?=\n\nBody.",
            b"Subject: =?utf-8?B?!!!?=\n\nBody.",
            b"Subject: x\nContent-Transfer-Encoding: base64\n\nQm9keS4",
            b"Subject: x\nContent-Type: text/plain; charset=nothing\n\nBody.",
            b"Subject: x\nContent-Type: text/plain; charset=ascii\n\nBody. \xe4\xf6",
            b"Subject: x\nContent-Type: multipart/mixed\n\nBody.",
            b"Subject: x\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\nBody.",
        ],
    )
    def test_broken_mail_is_read_as_far_as_it_goes(self, raw):
        assert "Body" in read_mail(raw).text

    def test_parts_nested_without_end_are_cut_off(self):
        raw = b"".join(
            b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(400)
        )
        read_mail(b"Subject: x\n" + raw)
