"""Knows who knocked with nothing to show, and who has done so too often to be told any more."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

# So many refusals of an address are told at once, and so many a second after that.
BURST, A_SECOND = 20, 0.5
# Addresses that are remembered; the one that was quiet longest is forgotten first.
ADDRESSES = 10_000


@dataclass(slots=True)
class _Account:
    left: float
    at: float


class Strangers:
    """Refusals by address. What is refused beyond the budget costs neither a line of the log nor a count."""

    def __init__(self) -> None:
        self._accounts: OrderedDict[str, _Account] = OrderedDict()

    def may_be_told(self, address: str, now: float) -> bool:
        """Count one more refusal of ``address``; whether it is within the budget."""
        account = self._accounts.pop(address, None) or _Account(BURST, now)
        self._accounts[address] = account
        if len(self._accounts) > ADDRESSES:
            self._accounts.popitem(last=False)
        account.left = min(BURST, account.left + A_SECOND * (now - account.at))
        account.at = now
        if account.left < 1:
            return False
        account.left -= 1
        return True


STRANGERS = Strangers()
