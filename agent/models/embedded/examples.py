"""Short exchanges that show the language model when to call a tool, and when just to answer.

A model of 1.5 billion parameters learns this from examples better than from rules. Those that need no tool
speak of time, counting, memory or looking all the same: what tempts such a model is the word, not the wish.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from hearsight.tools.calls import ToolSpec


@dataclass(frozen=True, slots=True)
class Example:
    """One exchange."""

    said: str
    answer: str
    """A call, or plain words."""
    tool: str | None = None
    """The tool that is called; None for plain words."""


EXAMPLES = (
    Example("Hi there, how are you doing?", "I'm doing well, thank you. What can I do for you?"),
    Example("Hey, do you know how late it is?", "get_time()", "get_time"),
    Example(
        "Who came up with daylight saving time?",
        "George Hudson, in 1895. It was first used widely in the First World War.",
    ),
    Example("set a timer for seven minutes for the rice", 'set_timer(7*60, "rice")', "set_timer"),
    Example("how much is thirty one times 12", 'calculate("31*12")', "calculate"),
    Example("We were sixteen at the table on Sunday.", "That's a lot of people! What did you have?"),
    Example(
        "Had such a good time at the beach today.",
        "That sounds lovely. Did you go for a swim?",
    ),
    Example("So what's the clock saying over in Lisbon?", 'get_time("Lisbon")', "get_time"),
    Example("What weekday will it be in nine days?", "get_date(9)", "get_date"),
    Example("What am I holding up here?", 'look("what is the user holding")', "look"),
    Example("My train goes at ten to seven.", "That's early. Where are you going?"),
    Example("When did the Titanic sink?", "In 1912."),
    Example("What's written on this bottle?", "read_text()", "read_text"),
    Example(
        "Don't forget that my sister's birthday is in May.",
        'remember("The birthday of the user\'s sister is in May.")',
        "remember",
    ),
    Example("How much longer do the eggs have?", "list_timers()", "list_timers"),
    Example("Just a second, my phone is ringing.", "Sure, take your time."),
    Example(
        "Do you remember your first day at school?",
        "I never went to school, for I'm a computer program. How was yours?",
    ),
    Example("when's my sister's birthday again", 'recall("sister birthday")', "recall"),
    Example("You can switch off the laundry timer.", 'cancel_timer("laundry")', "cancel_timer"),
    Example("Switch the radio on.", "I'm sorry, I can't switch things on or off."),
    Example(
        "How long does it take to boil an egg?",
        "About six minutes, or ten for a hard one.",
    ),
    Example("Give me a shout in an hour and a quarter.", "set_timer(3600+15*60)", "set_timer"),
    Example("Three teas and a lemonade, please.", "I wish I could bring you some!"),
    Example("And what was the date a week before?", "get_date(-7)", "get_date"),
    Example("We got a new sofa last week.", "Nice! Is it comfortable?"),
    Example(
        "three tickets at 14.50 each, what does that come to",
        'calculate("3*14.50")',
        "calculate",
    ),
    Example("Petrol is up by eight percent.", "That's a lot. Do you drive much?"),
    Example("Five of diamonds, nine of spades.", "Nice cards! Which game are you playing?"),
    Example("What time does the sun come up in winter?", "Around eight, depending on where you are."),
    Example("Tell me what you see in front of you.", 'look("what is there")', "look"),
    Example("what's fifteen percent of eighty", 'calculate("0.15*80")', "calculate"),
    Example("Get rid of all the timers.", 'cancel_timer("all")', "cancel_timer"),
    Example("I met a fox in our garden.", "How lovely! Did it see you?"),
    Example("How much sugar is in a can of cola?", "About nine teaspoons."),
    Example("I can't remember when I was last so happy.", "What made you so happy?"),
    Example(
        "Make a note that the meeting has moved to room nine.",
        'remember("The meeting has moved to room nine.")',
        "remember",
    ),
    Example("Is anybody standing behind me?", 'look("is anybody behind the user")', "look"),
    Example("Row fourteen, seat C.", "Is that where you sit? Enjoy the show!"),
    Example(
        "Do I look happy to you?",
        "I can't tell. I only recognize objects, colors and text.",
    ),
    Example("How far is it to the sun?", "About 150 million kilometers."),
    Example("You needn't watch the cat any longer.", 'stop_watching("the cat")', "stop_watching"),
    Example("Where did I leave my bike?", 'recall("bike")', "recall"),
    Example("Okay, turn that timer off.", "cancel_timer()", "cancel_timer"),
    Example("What's the date three weeks from now?", "get_date(3*7)", "get_date"),
    Example("I'm looking for a birthday present.", "Who is it for?"),
    Example("What did I tell you about my dentist?", 'recall("dentist")', "recall"),
    Example(
        "I remember our old kitchen table.",
        "It sounds like a good memory. Who sat there with you?",
    ),
    Example("From now on, please call me Sam.", 'remember("The user wants to be called Sam.")', "remember"),
    Example("I lost my gloves on the bus.", "Oh no. Maybe somebody handed them in."),
    Example("Text my sister that I'm late.", "I'm sorry, I can't call anybody or send messages."),
    Example("The bus was ten minutes late today.", "That's annoying. Did you still get there in time?"),
    Example("Wake me up in twenty-five minutes.", "set_timer(25*60)", "set_timer"),
    Example("She turns forty on Saturday.", "How nice! Is there going to be a party?"),
    Example("Which date is the day after tomorrow?", "get_date(2)", "get_date"),
    Example("What's my locker number?", 'recall("locker number")', "recall"),
    Example("How many hours does it take to paint a room?", "About four, with two coats."),
    Example("What have I told you so far?", "recall()", "recall"),
    Example("Which month is the hottest?", "July, in most of Europe and North America."),
    Example("Buzz me in one and a half minutes.", "set_timer(1.5*60)", "set_timer"),
    Example("Hold on, there's a parcel for me.", "Of course. I'm here."),
    Example("Let me know when forty seconds have passed.", "set_timer(40)", "set_timer"),
    Example("How many feet does a centipede have?", "Between thirty and almost four hundred."),
    Example(
        "Bear in mind that I'm allergic to nuts.",
        'remember("The user is allergic to nuts.")',
        "remember",
    ),
    Example("half an hour for the laundry, please", 'set_timer(30*60, "laundry")', "set_timer"),
    Example("No, leave it.", "All right."),
    Example("Tell me when somebody comes in.", 'watch("somebody comes in")', "watch"),
    Example(
        "Tell me a bedtime story about a mouse.",
        "Once upon a time, a little mouse lived under a baker's shop. Every night she dreamed of the sea.",
    ),
    Example("Thanks, that's all for now.", "You're welcome. Talk to you soon!"),
)


REMINDERS = (
    Example("Hey, do you have the time?", "get_time()", "get_time"),
    Example("I had such a nice day.", "I'm glad to hear that. What was the best part?"),
    Example(
        "Start a timer, twenty minutes for the bread.",
        'set_timer(20*60, "bread")',
        "set_timer",
    ),
    Example("And what's 9 times 14?", 'calculate("9*14")', "calculate"),
    Example(
        "Please note that the plumber comes on Monday.",
        'remember("The plumber comes on Monday.")',
        "remember",
    ),
)
"""A few more, for behind a client's own instructions, which would else be all that the model still minds."""


def examples_for(tools: Collection[ToolSpec]) -> list[Example]:
    """The exchanges that fit the tools at hand: those that call one of them, and those that call none."""
    names = {tool.name for tool in tools}
    return [example for example in EXAMPLES if example.tool is None or example.tool in names]


def reminders_for(tools: Collection[ToolSpec]) -> list[Example]:
    """The few that stand behind a client's own instructions; none where nothing can be called."""
    names = {tool.name for tool in tools}
    return [example for example in REMINDERS if names and (example.tool is None or example.tool in names)]
