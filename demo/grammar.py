"""The grammar of people's wordings: one symbol a paragraph, its alternatives between bars.

``<symbol>`` is replaced by one of that symbol's alternatives, ``{slot}`` stays open. A lone
underscore is an empty alternative; an alternative that stands twice is drawn twice as often.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_TEXT = """
video_noun:
    video | video | video | video | video | video | clip | clip | clip | footage | recording |
    film | scene | scene | video clip | sequence | stream | movie | camera feed | short video |
    animation
image_noun:
    image | image | image | image | image | image | picture | picture | picture | photo | photo
    | photograph | scene | scene | icon | icon | screenshot | drawing | frame | figure | graphic
    | snapshot
this:
    this | this | the | the | that | the given | the attached | my
in_it:
    _ | _ | _ | in <this> <medium> | in <this> <medium> | here | in it | in <this> scene |
    anywhere | on the screen | there
see:
    see | see | observe | notice | spot | recognise | recognize | detect
thing:
    object | object | shape | shape | thing | item
things:
    objects | objects | shapes | things | items | elements
colour_word:
    colour | color
goes_on:
    is happening | is happening | happens | is going on | goes on | takes place | occurs | is
    taking place
content:
    what <goes_on> | what <goes_on> in <this> <medium> | what is in <this> <medium> | what you
    <see> | what you can <see> in <this> <medium> | what you see here | what is shown | what can
    be seen in <this> <medium> | <this> <medium> | <this> <medium> | <this> <medium> | <this>
    scene | everything you see | the content of <this> <medium> | the contents | what there is
    to see | what is visible in <this> <medium> | all <things> in <this> <medium> | what the
    <medium> shows | what you are seeing | the situation | the events in <this> <medium> |
    what's in <this> <medium> | what is there
verb:
    describe | describe | describe | describe | explain | summarize | summarise | tell me | tell
    us | report | narrate | state | list | write down | say | outline | give a description of |
    give me a summary of | write a caption for | put into words | provide a description of
ask_for:
    can you | could you | would you | will you | can you please | could you please | would you
    kindly | are you able to
want:
    please | please | please | kindly | now | i want you to | i would like you to | i'd like you
    to | you should | your task is to | try to | first, | let's see: | just | go ahead and |
    carefully | ok, | hey, | hello, | hi, | next, | now please | look closely and | look at
    <this> <medium> and
how:
    _ | _ | _ | _ | briefly | in detail | in one sentence | for me | in a few words | in short |
    accurately | shortly | as well as you can | in plain words | with all details
describe:
    <verb> <content> <how>. | <want> <verb> <content> <how>. | <want> <verb> <content>. |
    <ask_for> <verb> <content> <how>? | <ask_for> <verb> <content>? | <verb> <content>, please.
    | <what> | <what> | <what> | <lead> <what>
what:
    what <goes_on>? | what <goes_on> in <this> <medium>? | what <goes_on> here? | what is in
    <this> <medium>? | what's in <this> <medium>? | what do you <see>? | what can you <see>? |
    what can you <see> in <this> <medium>? | what is there? | what do you <see> in <this>
    <medium>? | what does <this> <medium> show? | what is shown in <this> <medium>? | what is
    visible <in_it>? | what's happening? | what's happening in <this> <medium>? | what can be
    seen <in_it>? | what's there? | what does <this> <medium> contain? | what is depicted
    <in_it>? | what's up <in_it>? | what is <this> <medium> about? | which <things> are there
    <in_it>? | what's going on? | what <things> are there <in_it>? | which <things> do you
    <see>? | what is this? | what is on <this> <medium>? | what is it that you see? | what are
    you seeing?
lead:
    tell me, | question: | hey, | hi, | so, | ok, | well, | please tell me: | look at <this>
    <medium>. | now, | one question: | look: | quick question: | answer this: | i wonder: |
    excuse me, | and | consider <this> <medium>. | here is a <medium>. | thanks. now, | user: |
    watch closely.
is_there:
    is there {a_x} <in_it>? | is there {a_x} <in_it>? | is there {a_x} <in_it>? | do you <see>
    {a_x} <in_it>? | can you <see> {a_x} <in_it>? | does <this> <medium> show {a_x}? | does
    <this> <medium> contain {a_x}? | is {a_x} visible <in_it>? | is {a_x} present <in_it>? | can
    {a_x} be seen <in_it>? | is there {a_x} to be seen <in_it>? | was there {a_x} <in_it>? |
    {a_x}? | did you <see> {a_x} <in_it>? | is {a_x} shown <in_it>? | is {a_x} there? | tell me
    if there is {a_x} <in_it>. | tell me whether you see {a_x} <in_it>. | check if there is
    {a_x} <in_it>. | check whether {a_x} is visible <in_it>. | is it true that there is {a_x}
    <in_it>? | would you say there is {a_x} <in_it>? | i want to know if there is {a_x} <in_it>.
    | is {a_x} in <this> <medium>? | does <this> <medium> have {a_x} <in_it>? | can you find
    {a_x} <in_it>? | could you check for {a_x} <in_it>? | is there at least one {x} <in_it>? |
    look for {a_x} <in_it>. is there one? | any {x} <in_it>? | is any {x} visible <in_it>? | are
    there any {xs} <in_it>? | are there {xs} <in_it>? | do you <see> any {xs} <in_it>? | can you
    <see> {xs} <in_it>? | are any {xs} visible <in_it>?
is_there_bare:
    is there {x} <in_it>? | is there {x} <in_it>? | do you <see> {x} <in_it>? | can you <see>
    {x} <in_it>? | does <this> <medium> show {x}? | is {x} visible <in_it>? | {x}? | tell me if
    there is {x} <in_it>. | does <this> <medium> contain {x}? | can {x} be seen <in_it>? | check
    if there is {x} <in_it>. | did you <see> {x} <in_it>? | is there {x} to be seen <in_it>? |
    is {x} present <in_it>?
moving:
    is anything moving <in_it>? | does anything move <in_it>? | is something moving <in_it>? |
    is there any movement <in_it>? | is there any motion <in_it>? | is there movement <in_it>? |
    do you <see> any movement <in_it>? | is any <thing> moving <in_it>? | motion? | are any
    <things> moving <in_it>? | does any <thing> move <in_it>? | is there motion <in_it>? | is
    there a moving <thing> <in_it>? | do you <see> anything moving <in_it>? | tell me if
    anything moves <in_it>. | can you <see> something moving <in_it>? | does something move
    <in_it>? | do any <things> move <in_it>? | anything moving <in_it>? | check whether
    something moves <in_it>. | did anything move <in_it>?
ref_moving:
    is {ref} moving <in_it>? | does {ref} move <in_it>? | is {ref} in motion <in_it>? | did
    {ref} move <in_it>? | tell me if {ref} moves <in_it>. | do you see {ref} moving? | is there
    any movement of {ref}? | check if {ref} is moving. | does {ref} change its place <in_it>? |
    can you see {ref} move <in_it>?
way_moving:
    is anything moving {way} <in_it>? | does anything move {way} <in_it>? | is something moving
    {way} <in_it>? | is any <thing> moving {way} <in_it>? | do you <see> anything moving {way}
    <in_it>? | does something go {way} <in_it>? | does any <thing> move {way} <in_it>? | tell me
    if anything moves {way}.
event:
    does anything {event} <in_it>? | does something {event} <in_it>? | is anything {eventing}
    <in_it>? | is something {eventing} <in_it>? | does any <thing> {event} <in_it>? | do you
    <see> anything {eventing} <in_it>? | did anything {event} <in_it>? | is any <thing>
    {eventing} <in_it>? | tell me if something {events} <in_it>. | do any <things> {event}
    <in_it>? | is there a <thing> that {events} <in_it>?
yes_no_tail:
    _ | _ | _ | _ | _ | _ | answer yes or no. | answer with yes or no. | yes or no? | please
    answer yes or no. | say yes or no. | reply with yes or no only. | answer truthfully. |
    (yes/no) | start your answer with yes or no. | only answer yes or no. | be honest.
how_many:
    how many {xs} are there <in_it>? | how many {xs} are there <in_it>? | how many {xs} do you
    <see> <in_it>? | how many {xs} can you <see> <in_it>? | how many {xs} are visible <in_it>? |
    count the {xs} <in_it>. | how many {xs}? | what is the number of {xs} <in_it>? | number of
    {xs} <in_it>? | how many {xs} <in_it>? | tell me how many {xs} there are <in_it>. | how many
    {xs} does <this> <medium> show? | please count the {xs} <in_it>. | can you count the {xs}
    <in_it>? | how many {xs} can be seen <in_it>? | how many {xs} are in <this> <medium>? | give
    me the number of {xs} <in_it>. | what's the count of {xs} <in_it>?
colour:
    what <colour_word> is {ref} <in_it>? | what <colour_word> is {ref} <in_it>? | which
    <colour_word> is {ref} <in_it>? | what is the <colour_word> of {ref} <in_it>? | which
    <colour_word> does {ref} have <in_it>? | what <colour_word> does {ref} have? | what's the
    <colour_word> of {ref} <in_it>? | tell me the <colour_word> of {ref} <in_it>. | name the
    <colour_word> of {ref} <in_it>. | in which <colour_word> is {ref} drawn? | give me the
    <colour_word> of {ref}. | can you tell the <colour_word> of {ref}? | how is {ref} coloured?
    | {ref} has which <colour_word>?
shape:
    what is {ref} <in_it>? | what shape is {ref} <in_it>? | which shape is {ref} <in_it>? | what
    shape does {ref} have <in_it>? | which shape does {ref} have <in_it>? | what kind of <thing>
    is {ref} <in_it>? | what is the shape of {ref} <in_it>? | what's the shape of {ref} <in_it>?
    | name {ref} <in_it>. | tell me what {ref} is <in_it>. | identify {ref} <in_it>. | can you
    tell what {ref} is <in_it>? | {ref} is what? | what sort of <thing> is {ref}? | what does
    {ref} look like? | what type of <thing> is {ref}?
direction:
    which way does {ref} move <in_it>? | which way is {ref} moving <in_it>? | in which direction
    does {ref} move <in_it>? | which way does {ref} go <in_it>? | in which direction is {ref}
    moving <in_it>? | where does {ref} move <in_it>? | what direction is {ref} moving <in_it>? |
    which direction is {ref} going <in_it>? | what is the direction of {ref} <in_it>? | where is
    {ref} going <in_it>? | where is {ref} heading <in_it>? | tell me which way {ref} moves
    <in_it>. | to which side does {ref} move <in_it>? | what direction does {ref} move in? |
    {ref} moves in which direction? | which direction does {ref} take <in_it>? | tell me the
    direction of {ref} <in_it>. | how does {ref} move <in_it>?
action:
    what does {ref} do <in_it>? | what is {ref} doing <in_it>? | what happens to {ref} <in_it>?
    | describe the motion of {ref} <in_it>. | describe what {ref} does <in_it>. | tell me what
    {ref} does <in_it>. | describe the movement of {ref} <in_it>. | what's {ref} doing <in_it>?
    | explain what {ref} does <in_it>. | what did {ref} do <in_it>? | how does {ref} behave
    <in_it>? | what is happening to {ref} <in_it>?
open_tail:
    _ | _ | _ | _ | _ | _ | answer briefly. | answer in one sentence. | be precise. | please be
    accurate. | thanks. | thank you!
greeting:
    hello! | hello | hi | hi! | hi there! | hey | hey there | good morning | good evening! |
    hello there | greetings | good day | hello model | howdy | hello, how are you? | how are
    you? | what's up? | hi, how is it going?
who:
    who are you? | what are you? | what can you do? | what is your name? | help | introduce
    yourself. | tell me about yourself. | are you a model? | help me | what model are you? |
    which model is this? | how do you work? | what do you know?
odd:
    why? | where is it? | tell me a story. | what time is it? | who made this? | translate this.
    | write a poem. | go on | ok | test | hmm | and now? | so? | what do you think? | how old is
    it? | give me the details. | more | continue | and? | asdf | qwerty | ? | ... | lorem |
    analyze | analyse this | analysis | caption | caption this | summary | report | look | watch
    | observe | what now | interpret this <medium> | thoughts | info | what should i know? |
    what is important here? | give me a title | your turn | how does it end? | what comes first?
    | where are the <things>? | where is {ref}? | what is the weather like? | write a headline.
    | what is the mood? | explain
"""


def _parse(text: str) -> dict[str, tuple[str, ...]]:
    paragraphs = re.findall(r"^(\w+):\n((?: .*\n)+)", text, re.MULTILINE)
    return {
        symbol: tuple(
            "" if part.strip() == "_" else " ".join(part.split()) for part in body.split("|")
        )
        for symbol, body in paragraphs
    }


GRAMMAR: Mapping[str, tuple[str, ...]] = _parse(_TEXT)
