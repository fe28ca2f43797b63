"""Where an HTTP/1 response begins and ends, on top of llhttp (RFC 9112, section 6.3)."""

from __future__ import annotations

from typing import Final

import httptools

HEAD_BYTES: Final = 64 * 1024
"""What status line and header fields may take. vLLM's take some 200 bytes."""

_INTERIM: Final = 200


class Framing:
    """Callbacks of `httptools.HttpResponseParser` that follow one response.

    ``status`` is ``None`` until its head is read, ``location`` where a redirect points, ``coding``
    how the body is compressed, "" if it is not.
    ``until_close``: the body has no length and ends with the connection, which is legal and which
    :meth:`ended` tells. ``keep`` says whether the connection may be used again. ``whole`` is set
    once the response is complete.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Expect a new response."""
        self.parser = httptools.HttpResponseParser(self)
        self.status: int | None = None
        self.location = self.coding = ""
        self.until_close = self.keep = self.whole = False
        self._sized = False

    @property
    def compressed(self) -> str:
        """The sentence that the body is compressed though no request asks for it; else ""."""
        if not self.coding:
            return ""
        coding = "".join(one for one in self.coding[:40] if one.isprintable())
        return f"the answer is compressed ({coding}): turn compression off before the server"

    def ended(self) -> bool:
        """Take the end of the connection; return whether the response is complete."""
        self.whole = self.whole or self.until_close
        return self.whole

    def on_message_begin(self) -> None:
        """Take the first byte of a response (the parser calls this)."""
        if self.whole:
            self.keep = False  # an answer nobody asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field (the parser calls this)."""
        lower = name.lower()
        if lower == b"content-length" or (
            lower == b"transfer-encoding" and b"chunked" in value.lower()
        ):
            self._sized = True
        elif lower == b"location":
            self.location = value.decode("latin-1")
        elif lower == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            self.coding = value.decode("latin-1").strip()

    def on_headers_complete(self) -> None:
        """Take the status (the parser calls this)."""
        status = self.parser.get_status_code()
        if self.whole:
            return
        if status < _INTERIM:
            self._sized = False  # 100 to 103 come before the response itself
            return
        self.status = status
        # asked now, because after the message llhttp has forgotten how it was framed
        self.keep = self.parser.should_keep_alive()
        self.until_close = not self._sized

    def on_message_complete(self) -> None:
        """Take the end of a response (the parser calls this, inside ``feed_data``)."""
        if self.status is not None:
            self.whole = True
