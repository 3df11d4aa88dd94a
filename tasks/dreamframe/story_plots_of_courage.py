"""Plots about courage: a strange sound that must be followed, and a word that is hard to say."""

from __future__ import annotations

from tasks.dreamframe.story_plots import Beat, Plot, Scene

SOUND = Plot(
    themes=("a ghost in the dark", "somebody learns not to be afraid", "a monster that nobody has seen"),
    title="The Thing That Goes Hoo-Roo",
    thing="",
    goal="find out what goes hoo-roo",
    surprise="It is nothing to be afraid of: it is {guest}, who {because}.",
    because={
        "bird": "practises the high notes where nobody listens",
        "cat": "practises for the next full moon",
        "dog": "sings in the bath",
    },
    punchlines={
        "bird": "A sound? That was my high note! Nobody was meant to hear it.",
        "cat": "A sound? That was my moon song! It is not finished yet.",
        "dog": "A sound? That was my bath song! Nobody was meant to hear it.",
    },
    opening=Scene(
        "Hoo-Roo",
        "hear something that goes hoo-roo",
        (
            Beat("hero", "standing still to listen", "worried", ("hero: Did you hear that? Something goes hoo-roo!",)),
            Beat("friend", "talking to {hero}", "calm", ("friend: That was my tummy.",)),
            Beat("hero", "looking into the distance", "curious", ("hero: Your tummy is here. The sound is at {next}.",)),
        ),
        ("Why does {hero} stand still?", "Because something goes hoo-roo.", 0),
    ),
    middles=(
        Scene(
            "You First",
            "argue about who goes first",
            (
                Beat("hero", "holding on to {friend}", "worried", ("hero: You go first. You are louder than I am.",)),
                Beat("friend", "standing behind {hero}", "shy", ("friend: You go first. You can run for both of us.",)),
                Beat("hero", "walking beside {friend}", "happy", ("hero: Then we go side by side. It came from {next}.",)),
            ),
            ("Why shall {friend} go first?", "Because {friend} is louder than {hero}.", 0),
        ),
        Scene(
            "The Echo",
            "talk to an echo",
            (
                Beat("friend", "looking {spot}", "curious", ("friend: Hello, sound?",)),
                Beat("hero", "talking to {friend}", "surprised", ("hero: It said: hello, sound!",)),
                Beat("friend", "walking on", "proud", ("friend: An echo. It is politer than you. Try {next}.",)),
            ),
            ("Why is {friend} not afraid of the answer?", "Because it was only an echo.", 2),
        ),
        Scene(
            "A Good Hiding Place",
            "hide from the sound",
            (
                Beat("hero", "squatting {spot}", "worried", ("hero: What cannot see me cannot find me.",)),
                Beat("friend", "standing before {hero}", "calm", ("friend: I can see you.",)),
                Beat("hero", "standing up", "shy", ("hero: You do not count, you are my friend. Come along to {next}.",)),
            ),
            ("Why does {hero} hide?", "Because what cannot see {hero} cannot find {hero}.", 0),
        ),
    ),
    finale=Scene(
        "The High Note",
        "find {guest} in the middle of a song",
        (
            Beat("hero", "walking on tiptoe", "worried", ("hero: Hoo-roo! It is very near now.",)),
            Beat("guest", "sitting {spot}", "surprised", ("guest: {punchline}",)),
            Beat("hero", "hugging {guest}", "merry", ("hero: Sing it again, please. We take the low notes.",)),
        ),
        ("Why does {guest} go hoo-roo?", "Because {guest} {because}.", 1),
    ),
)

HELLO = Plot(
    themes=("two lonely people become friends", "the new neighbour", "a shy boy falls in love"),
    title="One Small Word",
    thing="",
    goal="learn to say hello to {guest}",
    surprise="When they meet again, {guest} says it first, for {guest} {because}.",
    because={
        "bird": "has practised it all day, too, on a cloud",
        "cat": "has practised it all day, too, on a mouse",
        "dog": "has practised it all day, too, on a tree",
    },
    punchlines={
        "bird": "Hello! I tried it on a cloud all day, but it floated away.",
        "cat": "Hello! I tried it on a mouse all day, but it ran away.",
        "dog": "Hello! I tried it on a tree all day, but it never said a word.",
    },
    opening=Scene(
        "The New Neighbour",
        "see a new neighbour",
        (
            Beat("hero", "looking at {guest} from afar", "shy", ("hero: A new neighbour! I want to say hello, but how?",)),
            Beat("friend", "talking to {hero}", "calm", ("friend: It is one small word. Even I know it.",)),
            Beat("hero", "walking away on tiptoe", "worried", ("hero: I must practise it where nobody hears. At {next}.",)),
        ),
        ("Why does {hero} not say hello at once?", "Because {hero} is shy and must practise first.", 0),
    ),
    middles=(
        Scene(
            "Hello, Ball",
            "say hello to a ball",
            (
                Beat("hero", "talking to a {other} ball", "shy", ("hero: Hello, ball.",)),
                Beat("friend", "standing close by", "curious", ("friend: And what does it say?",)),
                Beat(
                    "hero",
                    "looking at the {other} ball",
                    "proud",
                    ("hero: Nothing. It is more shy than I am. To {next}!",),
                ),
            ),
            ("Why does the ball not answer?", "Because it is more shy than {hero}.", 2),
        ),
        Scene(
            "The Rehearsal",
            "play the new neighbour",
            (
                Beat("hero", "standing before {friend}", "shy", ("hero: You are the neighbour. Hello, {guest}.",)),
                Beat("friend", "looking around", "surprised", ("friend: Where? I see only you and me.",)),
                Beat("hero", "talking to {friend}", "merry", ("hero: You are no great actor. Once more at {next}.",)),
            ),
            ("Why does {friend} look around?", "Because {friend} has forgotten to play the neighbour.", 1),
        ),
        Scene(
            "What If",
            "sit down and worry",
            (
                Beat("hero", "sitting {spot}", "worried", ("hero: What if {guest} does not like me?",)),
                Beat("friend", "sitting next to {hero}", "calm", ("friend: I like you, and I am very picky.",)),
                Beat("hero", "hugging {friend}", "happy", ("hero: That helps. One last try at {next}.",)),
            ),
            ("Why is {hero} worried?", "Because perhaps {guest} does not like {hero}.", 0),
        ),
    ),
    finale=Scene(
        "Hello",
        "say one small word to {guest}",
        (
            Beat("hero", "standing before {guest}", "shy", ("hero: H... He... Hel...",)),
            Beat("guest", "walking up to {hero}", "happy", ("guest: {punchline}",)),
            Beat("hero", "hugging {guest}", "merry", ("hero: Hello, hello, hello! What is the next word?",)),
        ),
        ("Why does {guest} say hello so well?", "Because {guest} {because}.", 1),
    ),
)
