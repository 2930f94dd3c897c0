"""What sources share whose senders are people who write: ``here Weekly Meeting``."""

from hub import CheckOut, Happened, is_missing

WORDS = ("here", "in", "check-in", "checkin")


def event_in(text: str) -> str | None:
    """The event that a message names after one of ``WORDS``; '' for the word alone, None for another."""
    word, _, rest = text.strip().partition(" ")
    return rest.strip() if word.lower().lstrip("/") in WORDS else None


def sentence(happened: Happened) -> str:
    """What to tell who wrote."""
    told = [one for one in happened.results if one.event is not None]
    if happened.is_recorded and told and told[-1].event is not None:
        done = "out of" if isinstance(told[-1].operation, CheckOut) else "in to"
        return f"You are checked {done} {told[-1].event.name}."
    if happened.is_recorded:
        return "Write: here, and the name of the event."
    if happened.status == 404 and happened.sentence.startswith("Student"):
        return "I do not know you yet. Ask an officer of the club to add you; this message is kept."
    if happened.status == 404 and happened.sentence.startswith("Event"):
        named = happened.sentence.removeprefix("Event with identifier ").removesuffix(" not found")
        how = "Write: here, and the name of the event as it is in the calendar"
        return f"I know no event named {named}. {how}; this message is kept."
    if not is_missing(happened.sentence) and happened.status < 500:
        return f"Not checked in: {happened.sentence}."
    return "Something went wrong. Your message is kept; an officer can see it."
