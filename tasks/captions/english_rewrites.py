"""Fixed English phrases that mean the same as one plain word, which is all that the clause parser then has to know."""

from __future__ import annotations

import re

from tasks.captions.english import COLOURS

_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_ONES = "one|two|three|four|five|six|seven|eight|nine"
_VIDEO = r"(?:the |this |a )?(?:video|clip|footage|film|movie|recording|sequence|scene|animation)"
_DONE = "(?:been )?(?:passed|over|gone|elapsed|played|done|ended|finished|through|complete|completed|by)"
_SEEN = "(?:view|frame|picture|shot|scene|image|screen)"
_OWN = "(?:its|his|her|their|the|an?)"
_PLACE = "(?:point|position|location|place|spot|stop|destination)"
_START = "(?:start(?:ing)?|initial|original|first)"
_END = "(?:end(?:ing)?|final|last|ultimate)"
_WHILE = "(?:short |little |long )?(?:while|time|moment|bit)"

_FILMED = "(?:seen|viewed|shot|filmed|captured|recorded|taken)"
_VIEWPOINT = (
    "(?:top[- ]down|overhead|aerial|bird's[- ]eye|first[- ]person|third[- ]person|side[- ]on|wide[- ]angle|high[- ]angle"
    "|low[- ]angle|front|rear|side)"
)
_MEDIUM = "(?:view|shot|scene|video|clip|footage|film|angle|perspective|image|picture|recording|closeup)"

_CAMERA = (
    (rf"{_VIEWPOINT}(?:[- ]{_FILMED})?(?= {_MEDIUM})", ""),
    (rf"{_FILMED} from (?:above|below|overhead|the (?:side|top|front|back|air))", ""),
)
_SPELLING = (
    ("centre", "center"),
    ("close-up", "closeup"),
    (rf"({_TENS})[- ](?:{_ONES})", r"\1"),
    (r"(left|right)[- ]?hand(?=\s(?!in\b))", r"\1"),
    (r"[-‐‑–](?:coloured|colored)|(?<=\w) (?:coloured|colored)(?= \w)", ""),
    (r"(upper|lower|top|bottom|middle|center|mid)[- ](?=left|right|center)", r"\1 "),
    (r"(left|right)-(?=top|bottom|upper|lower|to-|ward)", r"\1 "),
    ("to-(?=left|right|top|bottom)", "to "),
    (r"(top|bottom)-to\b", r"\1 to"),
    ("(left|right|up|down) ward", r"\1ward"),
    (rf"({'|'.join(sorted(COLOURS))})-\w+ed", r"\1"),
    (r"(left|right|up|down)wards?-(?=\w+ing)", r"\1ward "),
    ("half[- ]?way|mid[- ]?way|part[- ]?way", "halfway"),
    ("half[- ]?time|mid[- ]point", "midpoint"),
)
_TIMES = (
    (rf"(?:the )?(?:first )?half (?:(?:of )?{_VIDEO} )?(?:has|have|is|are|was) {_DONE}", "the midpoint"),
    (rf"{_VIDEO} (?:is|has|gets) (?:been )?(?:half|halfway)(?: {_DONE})?", "the midpoint"),
    (rf"{_VIDEO} (?:has )?reache[sd] (?:its|the) (?:midpoint|middle|halfway point|halfway mark)", "the midpoint"),
    ("at first|to begin with|to start with|in the beginning|at the outset|for starters", "initially"),
    ("at last|in the end|at long last", "finally"),
    ("after that|after this|after which|later on|from there|following that", "afterwards"),
    ("before that|before this|prior to that", "previously"),
    ("prior to", "before"),
    ("(?:limited|restricted|confined) to", "only in"),
    (rf"after (?:a|some) {_WHILE}|(?:a|some) {_WHILE} later|moments later", "later"),
    ("up until|up to(?= the (?:midpoint|middle|halfway|end|half))", "until"),
)
_SEEING = (
    (rf"out of (?:sight|frame|shot|view|the {_SEEN})(?= |$|[.,;])", "invisible"),
    ("(?:come|go|move|get|slide|fade)(s|es|)(?: back)? invisible", r"disappear\1"),
    ("(?:coming|going|moving|getting|sliding|fading)(?: back)? invisible", "disappearing"),
    ("nowhere to be (?:seen|found)|nowhere in sight", "invisible"),
    (rf"(?:come|pop|fade|slide)(s|) (?:into|in|on) (?:sight|existence|(?:the )?{_SEEN})", r"appear\1"),
    (rf"(?:coming|popping|fading|sliding) (?:into|in|on) (?:sight|existence|(?:the )?{_SEEN})", "appearing"),
    ("(?:make|put)(s|) (?:its|an?|his|her|their) (?:first )?(?:appearance|entrance|debut)", r"appear\1"),
    ("making (?:its|an?|his|her|their) (?:first )?(?:appearance|entrance|debut)", "appearing"),
    (rf"(?:on|in) (?:display|show|sight|evidence|camera|existence|(?:the )?{_SEEN})(?! of\b)(?= |$|[.,;])", "inview"),
)
_PLACES = (
    (rf"from one side of ((?:an?|the) (?!{_SEEN})(?:\w+ )+?)to the other(?: side)?", r"past \1"),
    (
        "from (?:one|either) (?:side|end|edge)(?: of the \\w+)? to the other(?: (?:side|end|edge))?(?: of the \\w+)?",
        "across the screen",
    ),
    ("in the direction of", "toward"),
    ("on top of", "atop"),
    ("next to|close to|in front of|alongside|adjacent to", "beside"),
    ("out of", "off"),
    ("by way of", "via"),
    ("(?:with respect|relative|in relation|with regard) to", "past"),
    (rf"(?:with )?{_OWN} {_START}(?: {_PLACE})? (?:is |was |being )?(?=in |on |at )", "starting "),
    (rf"(?:with )?{_OWN} {_END}(?: {_PLACE})? (?:is |was |being )?(?=in |on |at )", "ending "),
    (rf"{_OWN} {_START} {_PLACE} (?:is|was|being)", "it starts at"),
    (rf"{_OWN} {_END} {_PLACE} (?:is|was|being)", "it ends at"),
    (rf"'s {_START} {_PLACE} (?:is|was)", " starts at"),
    (rf"whose {_START} {_PLACE} (?:is|was)", "that starts at"),
    (rf"whose {_END} {_PLACE} (?:is|was)", "that ends at"),
    (rf"'s {_END} {_PLACE} (?:is|was)", " ends at"),
    (rf"{_OWN} (?:next|second|third|following) {_PLACE} (?:is|was)", "then it is at"),
    (rf"(?:to|in) (?:its|his|her|their|the) {_START} {_PLACE}", "homeward"),
    ("to where (?:it|he|she|they) (?:started|began|was|were|came from)", "homeward"),
    ("side to side|to and fro|back and forth|backwards? and forwards?", "sideways"),
)
_OTHERS = (
    ("on the (?:move|go|run)", "moving"),
    ("(?:make|wend|wind)(s|) (?:its|his|her|their) way", r"travel\1"),
    ("(?:mak|wend|wind)ing (?:its|his|her|their) way", "traveling"),
    ("no longer|no more|not any ?more", "not"),
    ("any ?more|any longer", ""),
    ("as well as|together with|along with|accompanied by|in the company of", "and"),
    ("in total|altogether|in number|of them", ""),
    ("(?:an?|the) total (?:number )?of|exactly|precisely|no fewer than|at least|at most|not one,? but", ""),
    (r"up to(?= (?:two|three|four|five|\d))", ""),
    ("all the way|straight|directly|gradually|slowly|quickly|rapidly|steadily|gently|swiftly|smoothly", ""),
)
# Applied in this order; a pattern ends at the end of a word.
REWRITES = tuple(
    (re.compile(rf"\b(?:{pattern})(?!(?<=\w)\w)"), replacement)
    for pattern, replacement in _SPELLING + _CAMERA + _TIMES + _SEEING + _PLACES + _OTHERS
)
