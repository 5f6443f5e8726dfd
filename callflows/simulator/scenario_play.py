"""Knows how to set a scenario up on a platform, and what its end means."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from callflows.simulator.account import APPLICATION, Account, Application, Number
from callflows.simulator.effects import Heard, Note, Said
from callflows.simulator.expectation import Came, Failure
from callflows.simulator.faults import MARK, staged
from callflows.simulator.platform import NotPossible, Platform
from callflows.simulator.scenario import Incoming, Scenario
from callflows.simulator.scenario_checks import check
from callflows.simulator.sound import Sound
from callflows.simulator.stage import Stage

# Who calls when a `create` does not say it.
SENDER = {"type": "phone", "number": "442079460000"}
# An API key and the secret that signs webhooks.
Signing = tuple[str, str]
Seen = Note | Heard | Said
S = TypeVar("S", bound=Stage)


def set_up(make: type[S], scenario: Scenario, application: Application, began: datetime, signing: Signing | None) -> S:
    """Return a stage with the people, faults and addresses of a scenario; no call is placed yet."""
    faults, knobs = staged(scenario.faults, scenario.knobs)
    account = Account(api_key=signing[0], signature_secret=signing[1]) if signing else Account()
    account.applications[APPLICATION] = application
    for each in scenario.calls:
        if each.to:
            account.numbers.setdefault(each.to, Number(each.to, application=APPLICATION))
    stage = make(began, knobs, account=account, faults=faults, pages=scenario.pages)
    stage.parties.update(scenario.people)
    return stage


def place_on(platform: Platform, call: Incoming) -> str:
    """Place one call; return its leg. Raises NotPossible."""
    if call.create is not None:
        return platform.create({"from": SENDER, **call.create}, APPLICATION)[0]
    return platform.call_in(
        call.to, call.from_, call.kind, call.headers, call.behaviour, APPLICATION, custom_data=call.data
    )


def blamed(refusals: list[str]) -> tuple[str, ...]:
    """Return what was not accepted, but for what the faults themselves have caused."""
    return tuple(each for each in refusals if MARK not in each)


class Play:
    """One scenario on one platform, whoever runs that: tell it what is seen, and ask it at the end."""

    def __init__(
        self, scenario: Scenario, application: Application, began: datetime, signing: Signing | None = None
    ) -> None:
        self.scenario = scenario
        self.stage = set_up(Stage, scenario, application, began, signing)
        self.came = Came(self.stage)
        # What each leg heard: a party, or the server at a socket.
        self.sounds: defaultdict[str, Sound] = defaultdict(Sound)
        self._placing_calls = True
        for each in scenario.calls:
            self.stage.plan(each.at, self._placing(each))

    def __call__(self, seen: Seen) -> None:
        match seen:
            case Note():
                self.came.notes.append(seen)
            case Heard(pcm, rate, source, leg, at):
                self.came.ears(seen)
                self.sounds[leg].add(source, rate, pcm, at)
            case Said(pcm, rate, leg, at):
                self.sounds[leg].add("room", rate, pcm, at)

    @property
    def legs(self) -> list[str]:
        """Return all legs: those who called first, then those who were called."""
        return [*self.came.legs, *(uuid for uuid in self.stage.legs if uuid not in self.came.legs)]

    @property
    def refusals(self) -> tuple[str, ...]:
        return blamed(self.stage.refusals)

    def failures(self) -> list[Failure]:
        """Return what was expected and did not happen."""
        return check(self.scenario.expect, self.came, self.refusals)

    def no_more_calls(self) -> None:
        """Place none of those that are to come."""
        self._placing_calls = False

    def _placing(self, call: Incoming) -> Callable[[], None]:
        def place() -> None:
            if not self._placing_calls:
                return
            try:
                self.came.legs.append(place_on(self.stage, call))
            except NotPossible as error:
                self.stage.refusals.append(str(error))

        return place
