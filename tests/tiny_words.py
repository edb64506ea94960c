"""The words of which all tiny texts are made; each is one token for every tiny tokenizer."""

GOOD_WORDS = ["good", "great", "happy", "clear", "warm", "bright", "kind", "fresh", "strong", "lovely"]
BAD_WORDS = ["bad", "poor", "sad", "dull", "cold", "dark", "cruel", "stale", "weak", "awful"]
_COMMON_TEXT = """
the a an of to in on at by with from for and or but not is was are were be has had this that these those it
he she they we you i his her their our my some any all many few more most very so too then now here there
when where how one two three four five six seven eight nine ten man woman child friend teacher doctor writer
farmer city town house room door window street river sea hill field tree flower bird dog cat horse book
story letter word song film game day night morning evening week month year time hour summer winter rain snow
wind sun moon water bread milk tea table chair bed car train boat ship road bridge school shop market garden
music picture colour red blue green white black small large long short old new young high low fast slow
early late first last next own same other every each make take give find tell ask work call try keep let
begin seem help show hear play run move live hold bring write sit stand pay meet learn change lead speak
read walk open close watch follow stop spend grow win teach offer
"""
COMMON_WORDS = _COMMON_TEXT.split()
WORDS = tuple(dict.fromkeys([*GOOD_WORDS, *BAD_WORDS, *COMMON_WORDS]))

MAX_LENGTH = 128
