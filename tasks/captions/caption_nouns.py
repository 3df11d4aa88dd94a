"""What the noun phrases of a caption are: objects as subject, theme, object or goal; the medium; parts; the background."""

from __future__ import annotations

from dataclasses import replace

from tasks.captions import english
from tasks.captions import english_nouns as nouns
from tasks.captions.caption_clauses import Clause, Spot
from tasks.captions.caption_phrases import Course, Mark, Preposition, Thing, Verb, Where
from tasks.captions.caption_state import Reading

_BACKGROUND_PREPOSITIONS = english.words(
    "in at on inside within across through along into onto over against amid amidst among amongst during upon outside via "
    "off from throughout around round over down up under above below beneath"
)
_GOES_NOWHERE = english.words("throw send be show have stand act")
_OF_MEDIUM = english.words("of with featuring containing including showing about depicting")


class NounReader(Reading):
    """Reads noun phrases."""

    def thing(self, thing: Thing) -> None:
        """Reads a noun phrase."""
        preposition, self.preposition = self.preposition, ""
        if self.negate:
            thing, self.negate = replace(thing, count=0), False
        known = self.cast.known(thing) is not None
        coordinated = not preposition and bool(self.run) and self.boundary == "and"
        down = self.previous.only_up_or_down if isinstance(self.previous, Where) else False
        if self._is_part(thing, preposition):
            self._part(thing)
        elif self._is_medium(thing, preposition) and not known:
            self._medium(thing)
        elif (thing.noun in nouns.SCENERY and not known and not coordinated) or thing.noun in nouns.NO_THINGS:
            self._scenery(thing, preposition)
        elif preposition and not self._opens_theme(preposition):
            self._oblique(thing, preposition)
        elif down and self.clause.verb is not None:  # "down the slope"
            self._oblique(thing, "down")
        else:
            self._object_named(thing)

    def _opens_theme(self, preposition: str) -> bool:
        """Whether a preposition leads to what is seen: "a video of", "the scene consists of"."""
        unfilled = self.clause.theme and not self.clause.subjects
        return (self.about_medium and preposition in _OF_MEDIUM) or (unfilled and preposition == "of")

    def _object_named(self, thing: Thing) -> None:
        if self.clause.theme and self.clause.negated and not self.clause.subjects:  # "the first half is without a dog"
            thing = replace(thing, count=0)
        index = self.cast.resolve(thing)
        if index is None:
            return
        if thing.possessor:
            self.owner, self.mentioned = [index], [index]
            return
        self.noun_phrase([index])
        self.clause.negated |= thing.count == 0

    # ---- what is no object

    def _is_part(self, thing: Thing, preposition: str) -> bool:
        """Whether it is fur, a colour or clothes that belong to somebody."""
        if thing.noun in nouns.COLOUR_NOUNS:
            return bool(preposition) or self.following != Preposition("of")
        if thing.noun not in nouns.PARTS or (preposition and self.about_medium and thing.determiner != "its"):
            return False
        worn = self.clause.kind in {"have", "wear"}
        return preposition in {"with", "in", "of"} or worn or bool(self.owner) or thing.determiner == "its"

    def _part(self, thing: Thing) -> None:
        """Only the colour of a part counts, and only if the part covers its owner."""
        whose = self.owner or self.mentioned or self.topic
        if self.owner:
            self.run, self.owner = list(self.owner), []
        if whose and thing.noun in nouns.COVERINGS:
            colours = [word for word in thing.attribute.split() if word in english.COLOURS | english.SHADES]
            self.cast.drafts[whose[-1]].add_looks(colours)
        self.about_medium |= not whose and thing.noun in nouns.COLOUR_NOUNS

    def _is_medium(self, thing: Thing, preposition: str) -> bool:
        """Whether it is the video, or something abstract, rather than, say, a picture on a wall."""
        if thing.noun in nouns.MEDIA_OR_THINGS and thing.determiner in english.INDEFINITE:
            acts = isinstance(self.following, Verb) and self.following.kind not in {"show", "be", "have"}
            ends = self.clause.verb is not None and isinstance(self.following, Mark | Where) and self.clause.kind != "make"
            return not (acts or ends)
        if thing.noun in nouns.SCENERY & nouns.ABSTRACT and preposition and thing.surface != thing.noun:  # "a mountain path"
            return False
        return thing.noun in nouns.MEDIA | nouns.ABSTRACT or (thing.plural and thing.noun in {"object", "thing", "item"})

    def _medium(self, thing: Thing) -> None:
        if self.owner:  # "the dog's position"
            self.run, self.owner = list(self.owner), []
            self.clause.subjects = list(self.run)
            return
        self.lively |= thing.lively
        self.about_medium = True

    def _scenery(self, thing: Thing, preposition: str) -> None:
        self.owner = []
        self._crosses(preposition)
        if self.clause.verb is not None and self.clause.kind == "leave" and not self.boundary:
            self.clause.verb = replace(self.clause.verb, kind="stir")
        if thing.noun not in nouns.TIMES_OF_DAY | nouns.NO_THINGS:
            self._set_background(thing)
        self.about_medium |= not preposition and not self.run

    def _set_background(self, thing: Thing) -> None:
        self.background = self.background or thing.surface

    def _crosses(self, preposition: str) -> None:
        if preposition == "across":
            self.clause.spots.append(Course("across"))

    # ---- subjects, themes and objects

    def noun_phrase(self, indices: list[int]) -> None:
        """Objects that are named without a preposition."""
        clause = self.clause
        self.owner, self.mentioned, self.about_medium = [], indices, False
        for index in indices:
            self.cast.drafts[index].add_looks(self.pending)
        self.pending = []
        if clause.verb is None:
            self._subject(indices)
        elif clause.theme and self.boundary != "stop":
            self._theme(indices)
        elif not self.boundary or (self.role == "object" and self.boundary == "and" and not self.verb_follows()):
            self.role = "object"
            self._direct_object(clause.verb, indices)
            return
        else:
            self.begin_with(indices)
            self.run = list(indices)
        self.role, self.boundary = "subject", ""

    def _subject(self, indices: list[int]) -> None:
        clause = self.clause
        if any(self.cast.drafts[index].rest_of is not None for index in indices):
            self.run = []
        apart = bool(self.run and clause.said and self.boundary)
        self.run = self.run + [index for index in indices if index not in self.run]
        if apart:
            self.begin_with(indices)
            return
        clause.subjects = list(self.run)
        self.settle(clause.subjects)

    def _theme(self, indices: list[int]) -> None:
        clause = self.clause
        if clause.subjects and (clause.spots or clause.times or clause.state) and self.boundary:
            fresh = self.begin_with(indices)
            fresh.verb, fresh.theme = clause.verb, True
        else:
            clause.subjects = [*clause.subjects, *(index for index in indices if index not in clause.subjects)]
        self.run = self.run + [index for index in indices if index not in self.run]
        self.settle(indices)

    def _direct_object(self, verb: Verb, indices: list[int]) -> None:
        clause, index = self.clause, indices[-1]
        if index in clause.subjects:
            return
        if verb.kind == "be" and len(clause.subjects) == 1 and self.cast.rename(clause.subjects[0], index):
            self.mentioned = list(clause.subjects)
            return
        if verb.kind in {"throw", "send"} or verb.lemma == "drop":
            clause.verb = replace(verb, kind="still")
            self.new_clause(indices).verb = replace(verb, passive=True)
            self.boundary = ""
        elif verb.kind in {"travel", "hold"} and clause.subjects:
            self.cast.drafts[index].follows = clause.subjects[0]
        elif verb.kind in {"pass", "circle"}:
            clause.target = index
        elif verb.kind in {"approach", "reach"}:
            clause.spots.append(Spot("to", side="left", of=index, named=True))
        elif verb.kind == "chase":
            self.clauses.insert(-1, Clause(list(indices), verb=verb, position=clause.position))
        self.mentioned = indices

    # ---- after prepositions

    def _oblique(self, thing: Thing, preposition: str) -> None:
        clause = self.clause
        if preposition in {"of", "for", "like", "as", "without"}:
            if preposition == "of" and clause.verb is not None and clause.verb.lemma == "make" and clause.subjects:
                self.cast.drafts[clause.subjects[-1]].add_looks([*thing.attribute.split(), thing.name])
            return
        self._crosses(preposition)
        if self.cast.known(thing) is None and self._is_background(preposition):
            self._set_background(thing)
            return
        index = self.cast.resolve(thing)
        if index is None:
            return
        self.mentioned, self.role = [index], "with" if preposition == "with" else "oblique"
        self.placed_by(index, preposition)
        if clause.verb is not None and self.verb_follows():
            self.boundary = ""

    def _is_background(self, preposition: str) -> bool:
        """Whether what follows a preposition is where it all happens, rather than something that is passed or acted on."""
        clause = self.clause
        passed = preposition in {"around", "over", "under"} and clause.kind in {"travel", "circle", "jump", "rise"}
        acted_on = preposition == "at" and clause.verb is not None and clause.kind in {"", "act"}
        left = preposition in {"from", "off"} and clause.kind not in {"fall", "jump"}
        return preposition in _BACKGROUND_PREPOSITIONS and not (passed or acted_on or left)

    def placed_by(self, index: int, preposition: str) -> None:
        """What a preposition with an object says of the subjects of the clause."""
        clause = self.clause
        if index in clause.subjects:
            return
        if preposition in {"to", "toward", "towards", "into", "onto"} and clause.kind not in _GOES_NOWHERE:
            clause.spots.append(Spot("to", side="left", of=index, named=True))
        elif preposition == "by" and clause.kind == "pass" and clause.verb and clause.verb.passive and clause.subjects:
            self._overtaken_by(index)
        elif (preposition in {"past", "by"} or clause.kind in {"pass", "cross"}) and clause.verb and not clause.verb.passive:
            clause.target = index
        elif preposition == "by" and clause.verb is not None and not clause.subjects:
            clause.subjects = [index]
        elif preposition == "by" and clause.kind in {"travel", "hold", "chase"}:
            self.cast.drafts[index].follows = clause.subjects[0] if clause.subjects else None
        elif preposition == "around" and clause.kind in {"travel", "circle"}:
            clause.target = index
            if not clause.courses:
                clause.spots.append(Course("circle"))

    def _overtaken_by(self, index: int) -> None:
        """ "A jeep is overtaken by a zebra": the zebra does something, the jeep does not."""
        clause = self.clause
        if clause.verb is not None:
            verb = replace(clause.verb, passive=False)
            self.clauses.insert(-1, Clause([index], verb=verb, position=clause.position, target=clause.subjects[0]))
            clause.verb = replace(clause.verb, kind="still")
