"""Knows what nobody documents about Vonage: every open question of the contract is a knob with the likeliest answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from callflows.wire.platform import Knobs as SocketKnobs


@dataclass(frozen=True, slots=True)
class Knobs:
    """How the fake Vonage behaves where the sources are silent or disagree; the numbers are those of the contract."""

    # 1: do the actions after a connect to a WebSocket run when it has ended, or as soon as it is open?
    ncco_after_ws: Literal["after", "immediate"] = "after"
    # 2: attempts after the first one, and seconds before each.
    webhook_retries: int = 1
    retry_delay: float = 1.0
    # 3, 4: headers of more than 512 bytes (compact UTF-8 JSON) are an NCCO error, or are all left out.
    headers_over_512: Literal["reject", "drop"] = "reject"
    # 5: which frames a full buffer loses, and how many frames it holds (1,024 before 2026).
    overflow: Literal["newest", "oldest"] = "newest"
    buffer: int = 3072
    # 6, 11.11: a message of the wrong size ends the leg (1006), or is cut or filled; at the edges: a short one is
    # filled before any audio, and as the last one.
    bad_frame: Literal["edges", "close", "pad"] = "edges"
    # 7: does a clear fire the notifies that wait?
    clear_fires_notify: bool = False
    # 8: has the token of a handshake the hash of its empty body?
    ws_payload_hash: bool = False
    # 10: are frames of silence left out?
    dtx: bool = False
    # 11: what an unanswered carrier is called.
    detail_generation: Literal["timeout", "carrier_timeout"] = "timeout"
    # 12: 2020 has no disconnected_by, sip_code, region_url, endpoint_type.
    payload_generation: Literal["2020", "2025"] = "2025"
    # 3.6: what `disconnected_by` says of the legs that end because somebody hung up elsewhere in the call: nobody did
    # at theirs, so by its definition the platform ended them.
    other_legs_ended_by: Literal["platform", "user"] = "platform"
    # 13: has the first message of a socket an `event`?
    connected_form: Literal["new", "old"] = "new"
    # 14: does the timeOut of a record action alone hold up the next action?
    record_timeout_blocks: bool = False
    # 15: which part of the events comes twice, and whether ringing comes before started.
    duplicate_rate: float = 0.0
    shuffle_started_ringing: bool = False
    # 16: which events are tried again after 429, 503 and 504; an unsigned one is, after any 5xx.
    retry_events: Literal["synchronous", "all"] = "synchronous"
    # 6.6: which part of the signed webhooks leaves unsigned at first.
    unsigned_rate: float = 0.0
    # 17: is `disconnected` sent without eventType synchronous?
    disconnected_needs_synchronous: bool = False
    # 18: seconds that a wait may last; what lies outside is brought inside.
    wait_range: tuple[float, float] = (0.1, 7200.0)
    least_beep_timeout: int = 30
    # 19: bytes of the largest NCCO; None: any.
    ncco_bytes: int | None = None
    # 20: does a WebSocket leg ring?
    ws_ringing: bool = True
    # 21: the form of a REST error: {"type", "error_title"}, or RFC 7807.
    error_form: Literal["error_title", "title"] = "error_title"
    # 11.5: is a slash at the end of a path of the API kept, which leads nowhere, or dropped, as before July 2026?
    trailing_slash: Literal["kept", "dropped"] = "kept"
    # 7.11, 7.12: the set-up APIs.
    number_update: Literal["replace", "merge"] = "replace"
    numbers_empty: Literal["{}", "zero"] = "{}"
    # Does `voiceCallbackType: app` link without `app_id`? The vendor's old CLI links so; in 2020 it failed with 500.
    number_app_pair: Literal["link", "error"] = "link"
    # No limit is documented, 1 was met. The vendor's CLIs ask twice for each thing that they do, without a pause:
    # search, buy and link are 5 requests, and a script goes on with the next number.
    numbers_rps: int = 10
    put_keys_omitted: Literal["keep", "regenerate"] = "keep"
    leg_persistence_default: Literal[2, 7] = 7
    # Limits of section 8: starts of calls out, other REST requests, seconds before a leg can be hung up.
    calls_per_second: int = 3
    requests_per_second: int = 15
    early_hang_up_seconds: float = 2.0
    # Times that nobody states: frames before a socket's sound starts, seconds until a machine is known as one, and
    # seconds until a transcript is ready (minutes in truth).
    prebuffer: int = 3
    detection_seconds: float = 2.0
    transcription_seconds: float = 2.0

    @property
    def socket(self) -> SocketKnobs:
        """Return those of one audio socket."""
        return SocketKnobs(
            connected_form=self.connected_form,
            buffer=self.buffer,
            clear_fires_notify=self.clear_fires_notify,
            bad_frame=self.bad_frame,
            prebuffer=self.prebuffer,
            overflow=self.overflow,
        )
