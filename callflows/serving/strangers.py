"""Knows who knocked with nothing to show, and who has done so too often to be told of, or listened to."""

from __future__ import annotations

from collections import OrderedDict

from callflows.serving.budget import Budget

# So many refusals of an address are told at once, and so many a second after that.
TOLD = (20, 0.5)
# So many handshakes with a token that is none of ours are looked at. Vonage never sends any.
FORGED = (100, 5.0)
# Addresses that are remembered; the one that was quiet longest is forgotten first.
ADDRESSES = 10_000


class Strangers:
    """A budget by address: so many at once, and so many a second. Times are in seconds, of any clock."""

    def __init__(self, burst: float, a_second: float) -> None:
        self.burst, self.a_second = burst, a_second
        self._accounts: OrderedDict[str, Budget] = OrderedDict()

    def is_spent(self, address: str, now: float) -> bool:
        """Whether one more would be beyond the budget; counts nothing."""
        account = self._accounts.get(address)
        return account is not None and account.fill(now) < 1

    def spend(self, address: str, now: float) -> bool:
        """Count one more of ``address``; whether it is within the budget."""
        account = self._accounts.pop(address, None) or Budget.full(self.burst, self.a_second, now)
        self._accounts[address] = account
        if len(self._accounts) > ADDRESSES:
            self._accounts.popitem(last=False)
        if account.fill(now) < 1:
            return False
        account.left -= 1
        return True


# Of whom a refusal is told, and whose handshakes are looked at.
STRANGERS, FORGERS = Strangers(*TOLD), Strangers(*FORGED)
