"""The panel beside the answer: whom the router chose, why, and what it cost, as HTML."""

from __future__ import annotations

import html
from collections.abc import Iterable

from routebench.deploy.chat.conversation import Turn
from routebench.printed import visible

STYLE = """
.rb{font:14px/1.45 system-ui,sans-serif;color:var(--body-text-color)}
.rb h3{font-size:15px;margin:14px 0 4px}.rb p{margin:3px 0;overflow-wrap:anywhere}
.rb table,.rb thead,.rb tbody,.rb tr{border:0!important}
.rb table{border-collapse:collapse;width:100%;margin:4px 0;border:0!important}
.rb td,.rb th{padding:3px 6px!important;text-align:left;border:0!important;
border-bottom:1px solid var(--border-color-primary)!important;overflow-wrap:break-word}
.rb .n{text-align:right!important;white-space:nowrap;font-variant-numeric:tabular-nums}
.rb .bar{width:34%}.rb .bar div{height:10px;border-radius:2px;background:#7a8ea3}
.rb tr.chosen td{font-weight:600}.rb tr.chosen .bar div{background:#1f6feb}
.rb .note{opacity:.78;font-size:13px}
footer{display:none!important}
"""


_RIGHT = ' class="n"'


def panel(turn: Turn | None) -> str:
    """Return what is known of a turn; nothing in it is markup but its own."""
    if turn is None:
        return '<div class="rb"><p class="note">Ask something: the choice is shown here.</p></div>'
    values = turn.values
    parts = [f"<h3>{_text(values['model'] or 'no answer')}</h3>"]
    parts += [f'<p class="note">{_text(turn.rule)}</p>']
    for name in ("policy", "reason"):
        if values.get(name):
            parts.append(f"<p>{name}: {_text(values[name])}</p>")
    if "confidence" in values:
        parts.append(f"<p>confidence: {values['confidence']:.3f}</p>")
    if values.get("quality"):
        parts += ["<h3>Expected quality</h3>", _bars(values["quality"], values["model"])]
    if len(values.get("asked", [])) > 1 or (turn.asked and not values.get("quality")):
        parts += ["<h3>Asked</h3>", _asked(turn)]
    parts += ["<h3>Cost</h3>", _costs(turn)]
    return f'<div class="rb">{"".join(parts)}</div>'


def _text(value: object) -> str:
    return html.escape(visible(str(value)), quote=True)


def _table(head: Iterable[str], rows: Iterable[str]) -> str:
    heads = "".join(
        f"<th{_RIGHT if name in ('quality', 'cost') else ''}>{_text(name)}</th>" for name in head
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _bars(quality: dict[str, float], chosen: str | None) -> str:
    """Return the models with their expected quality, best first, as bars from the least to most."""
    low, high = min(0.0, *quality.values()), max(quality.values())
    span = (high - low) or 1.0
    rows = []
    for model, value in sorted(quality.items(), key=lambda item: (-item[1], item[0])):
        width = 100 * (value - low) / span
        mark = ' class="chosen"' if model == chosen else ""
        rows.append(
            f'<tr{mark}><td>{_text(model)}</td><td class="n">{value:.3f}</td>'
            f'<td class="bar"><div style="width:{width:.1f}%"></div></td></tr>'
        )
    return _table(("model", "quality", ""), rows)


def _asked(turn: Turn) -> str:
    rows = []
    for call in turn.values["asked"]:
        said = call.get("error") or call["final"] or ("answered" if call["answered"] else "nothing")
        mark = ' class="chosen"' if call["model"] == turn.values["model"] else ""
        rows.append(
            f"<tr{mark}><td>{call['round']}</td><td>{_text(call['model'])}</td>"
            f'<td>{_text(said)}</td><td class="n">{money(call["usd"])}</td></tr>'
        )
    return _table(("round", "model", "said", "cost"), rows)


def _costs(turn: Turn) -> str:
    rows = [
        f'<tr class="chosen"><td>this turn</td><td>{_text(turn.values["model"] or "–")}</td>'
        f'<td class="n">{money(turn.usd)}</td></tr>'
    ]
    rows += [
        f'<tr><td>{one.name}</td><td>{_text(one.model)}</td><td class="n">{money(one.usd)}'
        f"{'' if one.exact else ' (mean)'}</td></tr>"
        for one in turn.alternatives
    ]
    return _table(("", "model", "cost"), rows) + f'<p class="note">{_text(basis(turn))}</p>'


def money(usd: float | None) -> str:
    """Return USD in four digits."""
    return "unknown" if usd is None else f"${usd:.4g}"


def basis(turn: Turn) -> str:
    """Return where the costs come from."""
    texts = []
    if not turn.asked:
        texts.append("nobody was asked: costs are the means of the training queries")
    elif any(one.exact for one in turn.alternatives):
        texts.append("the others: at their own prices, for as many tokens as this answer took")
    if turn.asked and any(not one.exact for one in turn.alternatives):
        texts.append("(mean): of the training queries, as the tokens are not known")
    return "; ".join(texts)
