"""Plots about things: a ball that is lost, a car that nobody knows, a present that is hard to find."""

from __future__ import annotations

from tasks.dreamframe.story_plots import Beat, Plot, Scene

LOST = Plot(
    themes=(
        "a child loses a toy and looks for it everywhere",
        "the search for the missing crown",
        "a treasure that has disappeared",
    ),
    title="The Lost Ball",
    thing="ball",
    goal="find {thing}",
    surprise="It is {guest} who has had it all along: {guest} {because}.",
    because={
        "bird": "took it for an egg and kept it warm",
        "cat": "needed a pillow",
        "dog": "guarded it for whoever had lost it",
    },
    punchlines={
        "bird": "Not so loud! It will hatch any minute now.",
        "cat": "Not so loud! A round pillow has no cold side.",
        "dog": "Not so loud! I am guarding it for whoever has lost it.",
    },
    opening=Scene(
        "An Empty Corner",
        "notice that {thing} is gone",
        (
            Beat(
                "hero",
                "squatting to look {spot}",
                "worried",
                ("hero: My ball is gone! It slept here last night.",),
            ),
            Beat("friend", "standing beside {hero}", "calm", ("friend: Balls do not run away. They only roll.",)),
            Beat("hero", "looking down the road", "curious", ("hero: Then it has rolled to {next}. Come on!",)),
        ),
        ("Why is {hero} worried?", "Because {thing} is gone.", 0),
    ),
    middles=(
        Scene(
            "A Ball of Another Colour",
            "find a ball of the wrong colour",
            (
                Beat("hero", "looking {spot}", "curious", ("hero: Something round is in there.",)),
                Beat("friend", "holding a {other} ball", "proud", ("friend: Found it! It only got a little {other}.",)),
                Beat("hero", "talking to {friend}", "merry", ("hero: It got very {other}. Put it back, we go to {next}.",)),
            ),
            ("Why does {friend} have to put the ball back?", "Because it is {other}, so it is not {thing}.", 2),
        ),
        Scene(
            "Calling a Ball",
            "call the ball by its name",
            (
                Beat("hero", "squatting {spot}", "curious", ("hero: Ball? Hello, ball?",)),
                Beat("friend", "standing close by", "calm", ("friend: It cannot answer. It has no mouth.",)),
                Beat("hero", "standing up", "worried", ("hero: But it might have ears. I will call again from {next}.",)),
            ),
            ("Why can the ball not answer?", "Because it has no mouth, says {friend}.", 1),
        ),
        Scene(
            "A Thinking Break",
            "sit down to think",
            (
                Beat("friend", "sitting down {spot}", "calm", ("friend: I think better when I sit.",)),
                Beat("hero", "looking at {friend}", "curious", ("hero: And what do you think?",)),
                Beat("friend", "standing up", "merry", ("friend: That the ground is wet. Let us look at {next}.",)),
            ),
            ("Why does {friend} sit down?", "Because {friend} thinks better when sitting.", 0),
        ),
    ),
    finale=Scene(
        "Not So Loud",
        "find {guest} on top of {thing}",
        (
            Beat("hero", "walking on tiptoe", "curious", ("hero: I see something {thing_colour} over there!",)),
            Beat("guest", "sitting on {thing}", "proud", ("guest: {punchline}",)),
            Beat("hero", "hugging {guest}", "merry", ("hero: Keep it until tonight. But then all three of us play.",)),
        ),
        ("Why does {guest} sit on {thing}?", "Because {guest} {because}.", 1),
    ),
)

CAR = Plot(
    themes=(
        "a mysterious machine appears overnight",
        "the detectives look for the owner of a bag",
        "a strange vehicle without a driver",
    ),
    title="Whose Car Is This?",
    thing="car",
    goal="find out whose car it is",
    surprise="It belongs to {guest}, who {because}.",
    because={
        "bird": "flies everywhere and only keeps it for the horn",
        "cat": "only uses it for naps, because the roof is so warm",
        "dog": "only keeps it to chase it on Sundays",
    },
    punchlines={
        "bird": "Of course it is mine. I fly everywhere, but a car has a horn!",
        "cat": "Of course it is mine. No bed has such a warm roof!",
        "dog": "Of course it is mine. I chase it every Sunday, and I always win!",
    },
    opening=Scene(
        "A Car From Nowhere",
        "meet a car without a driver",
        (
            Beat("hero", "looking at {thing}", "surprised", ("hero: Where does this car come from?",)),
            Beat("friend", "standing next to {thing}", "curious", ("friend: It looks lonely. Somebody must miss it.",)),
            Beat("hero", "talking to {friend}", "happy", ("hero: Then we find out who. We start at {next}.",)),
        ),
        ("Why does {friend} think that the car has an owner?", "Because it looks lonely, so somebody must miss it.", 1),
    ),
    middles=(
        Scene(
            "Short Legs",
            "find out who cannot drive",
            (
                Beat("hero", "sitting down {spot}", "curious", ("hero: Is it perhaps your car, {friend}?",)),
                Beat("friend", "looking down at two short legs", "shy", ("friend: I cannot reach the pedals. I tried.",)),
                Beat("hero", "standing up", "surprised", ("hero: You tried? Tell me on the way to {next}.",)),
            ),
            ("Why can {friend} not drive?", "Because {friend} cannot reach the pedals.", 1),
        ),
        Scene(
            "No Driver Here",
            "search for a sleeping driver",
            (
                Beat("friend", "looking {spot}", "curious", ("friend: No driver in here.",)),
                Beat("hero", "looking at {friend}", "surprised", ("hero: Why would a driver be in there?",)),
                Beat("friend", "walking on", "calm", ("friend: Even drivers must sleep somewhere. I will try {next}.",)),
            ),
            ("Why does {friend} look into such small places?", "Because even drivers must sleep somewhere.", 2),
        ),
        Scene(
            "Fresh Tracks",
            "follow their own tracks",
            (
                Beat("hero", "squatting over tracks on the ground", "proud", ("hero: Tracks! Fresh ones!",)),
                Beat("friend", "looking at the tracks", "calm", ("friend: They have your feet in them.",)),
                Beat("hero", "talking to {friend}", "shy", ("hero: Then I have found myself. Good. Next is {next}.",)),
            ),
            ("Why are the tracks no help?", "Because they are those of {hero}.", 1),
        ),
    ),
    finale=Scene(
        "The Horn",
        "meet {guest}, the owner of the car",
        (
            Beat("hero", "walking towards {thing}", "surprised", ("hero: Look, the car has come here, too!",)),
            Beat("guest", "sitting on {thing}", "proud", ("guest: {punchline}",)),
            Beat("hero", "hugging {friend}", "merry", ("hero: May we honk, just once?", "guest: Twice.")),
        ),
        ("Why does {guest} have a car?", "Because {guest} {because}.", 1),
    ),
)

GIFT = Plot(
    themes=("a birthday party for a good friend", "presents at Christmas", "somebody gives away all that they have"),
    title="A Present Made of Nothing",
    thing="",
    goal="find a birthday present for {guest}",
    surprise="They come with empty hands, and {guest} is happier than ever, because {guest} {because}.",
    because={
        "bird": "has a nest that is already full",
        "cat": "likes nothing best, for it leaves room to sleep",
        "dog": "would rather play than unwrap things",
    },
    punchlines={
        "bird": "Nothing? Perfect! My nest is full already.",
        "cat": "Nothing? Perfect! It leaves so much room to sleep.",
        "dog": "Nothing? Perfect! Then we can play at once.",
    },
    opening=Scene(
        "A Birthday Today",
        "remember a birthday",
        (
            Beat("hero", "sitting {spot}", "worried", ("hero: Today is {guest}'s birthday, and I have no present.",)),
            Beat("friend", "talking to {hero}", "calm", ("friend: You have me. But you cannot give me away.",)),
            Beat("hero", "standing up", "happy", ("hero: Then we look for something at {next}.",)),
        ),
        ("Why is {hero} worried?", "Because {guest} has a birthday and there is no present.", 0),
    ),
    middles=(
        Scene(
            "A Ball With a Name on It",
            "nearly give away a ball",
            (
                Beat("friend", "holding a {other} ball", "proud", ("friend: How about this ball?",)),
                Beat("hero", "looking at the {other} ball", "curious", ("hero: It says {friend} on it.",)),
                Beat("friend", "talking to {hero}", "merry", ("friend: That makes it personal. All right, on to {next}.",)),
            ),
            ("Why is the ball no good present?", "Because the name of {friend} is on it.", 1),
        ),
        Scene(
            "Something Big",
            "find a car that is too large to wrap",
            (
                Beat("hero", "looking at a {other} car", "surprised", ("hero: That would be a present!",)),
                Beat("friend", "standing beside a {other} car", "calm", ("friend: And how do you wrap it?",)),
                Beat("hero", "walking on", "calm", ("hero: With very much paper. Let us see what {next} has.",)),
            ),
            ("Why do they not take the car?", "Because nobody knows how to wrap it.", 1),
        ),
        Scene(
            "A Stone Like Any Other",
            "choose a stone and leave it",
            (
                Beat("friend", "squatting {spot}", "curious", ("friend: This stone is very good.",)),
                Beat("hero", "holding a small stone", "curious", ("hero: It looks like every other stone.",)),
                Beat("friend", "talking to {hero}", "proud", ("friend: So nobody will miss it. No? Then to {next}.",)),
            ),
            ("Why does {hero} not want the stone?", "Because it looks like every other stone.", 1),
        ),
    ),
    finale=Scene(
        "Happy Nothing",
        "bring {guest} a present made of nothing",
        (
            Beat("hero", "standing before {guest}", "shy", ("hero: Happy birthday. We looked all day and found nothing.",)),
            Beat("guest", "standing {spot}", "merry", ("guest: {punchline}",)),
            Beat("hero", "hugging {guest}", "happy", ("hero: Then happy nothing, {guest}!",)),
        ),
        ("Why does {guest} like the present?", "Because {guest} {because}.", 1),
    ),
)
