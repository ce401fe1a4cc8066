"""Formulas, written in TeX between dollar signs, become MathML, which browsers show by themselves: no script, no font.

Arithmatex marks them in the page; this replaces what it marks.
"""

import html
import re
from typing import Any

from latex2mathml.converter import convert

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)

_PRIME = r"<m[io]>(?:&#x02032;|\u2032)</m[io]>"


def on_page_content(content: str, **_: Any) -> str:
    """Replaces every formula of a page."""
    return _FORMULA.sub(_mathml, content)


def _mathml(found: re.Match[str]) -> str:
    display = "block" if found[2] == "[" else "inline"
    formula = convert(html.unescape(found[3]).strip(), display=display)
    # A prime is raised by its own shape, and bars of a norm are as high as the letters between them.
    formula = re.sub(rf"<msup>(<mi>.</mi>){_PRIME}</msup>", r"<mrow>\1<mo>&#x02032;</mo></mrow>", formula)
    primed = r"<msub><mrow>\1<mo>&#x02032;</mo></mrow>\2</msub>"
    formula = re.sub(rf"<msubsup>(<mi>.</mi>)(<mi>.</mi>){_PRIME}</msubsup>", primed, formula)
    formula = formula.replace("<mo>&#x02016;</mo>", '<mo stretchy="false">&#x02016;</mo>')
    return f'<div class="formula">{formula}</div>' if display == "block" else formula
