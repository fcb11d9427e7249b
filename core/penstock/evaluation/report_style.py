"""The report's style sheet: one column on a phone, light and dark by the reader's own setting, no fonts to fetch."""

from __future__ import annotations

# Candidate and champion are blue and orange of Okabe & Ito's palette for colour-blind readers; every text colour has a
# contrast of at least 4.5:1 on its ground. Verdicts differ in words and signs as well as in colour.
# Colours and lines: what a plot needs to stand alone.
PALETTE = """
:root{color-scheme:light dark;--ground:#fff;--panel:#f6f7f9;--ink:#1b1f24;--soft:#5a6472;--rule:#dde1e7;
--candidate:#0067a8;--champion:#c05600;--pass:#0b6b4f;--pass-ground:#dcf3ea;--fail:#a8231c;--fail-ground:#fde7e4;
--open:#6b4e00;--open-ground:#fbf0cf}
@media(prefers-color-scheme:dark){:root{--ground:#14171b;--panel:#1c2026;--ink:#e7eaee;--soft:#a2acb9;--rule:#333a44;
--candidate:#62b5f0;--champion:#f0a04b;--pass:#7fdcb8;--pass-ground:#12382c;--fail:#ffa69e;--fail-ground:#451a17;
--open:#f0d27a;--open-ground:#3a2f0c}}
svg text{fill:var(--soft);font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
svg .mid{text-anchor:middle}svg .end{text-anchor:end}svg .strong{fill:var(--pass);font-weight:700}
.grid{stroke:var(--rule);fill:none}.chance{stroke:var(--soft);stroke-dasharray:2 4;fill:none}
.line{fill:none;stroke-width:2;stroke-linejoin:round}
.line.candidate{stroke:var(--candidate)}.line.champion{stroke:var(--champion);stroke-dasharray:7 4}
g.candidate,.key.candidate{fill:var(--candidate);stroke:var(--candidate)}
g.champion,.key.champion{fill:var(--champion);stroke:var(--champion)}
.ring{fill:var(--ground);stroke-width:2.5}.cross{stroke-width:3;fill:none}
.promotion{stroke:var(--pass);stroke-width:1.5;stroke-dasharray:2 3;fill:none}
.line.solid{stroke-dasharray:none}
.area{stroke:none;opacity:.35}.area.candidate,.cell.candidate{fill:var(--candidate)}
.area.champion,.cell.champion{fill:var(--champion)}.outline{fill:none;stroke:var(--ink);stroke-width:1.5}
"""

CSS = (
    PALETTE
    + """
*{box-sizing:border-box}
body{margin:0 auto;max-width:70rem;padding:1.5rem 1rem 4rem;background:var(--ground);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 .25rem;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2.25rem 0 .5rem}h3{font-size:1rem;margin:1.25rem 0 .25rem}
p{margin:.25rem 0;overflow-wrap:anywhere}.soft{color:var(--soft)}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.4rem .6rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--rule)}
th{color:var(--soft);font-weight:600;font-size:.85rem}
td.number,th.number{text-align:right;white-space:nowrap}
td.why{min-width:16rem;font-size:.9rem;overflow-wrap:anywhere}
code{font:.9em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.verdict{display:inline-block;white-space:nowrap;border-radius:.3rem;padding:0 .45rem;font-weight:600;font-size:.85rem}
.PASS{color:var(--pass);background:var(--pass-ground)}.FAIL{color:var(--fail);background:var(--fail-ground)}
.INCONCLUSIVE{color:var(--open);background:var(--open-ground)}.NONE{color:var(--soft);background:var(--panel)}
.moved{font-weight:700}
.scroll{overflow-x:auto}
.plots{display:flex;flex-wrap:wrap;gap:1rem 1.5rem;align-items:flex-start}
figure{margin:.5rem 0;max-width:100%}figcaption{font-weight:600;font-size:.9rem}
figure table{width:auto}
svg{display:block;max-width:100%;height:auto}.scroll svg{max-width:none}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;font-size:.9rem;color:var(--soft)}
.legend svg{display:inline-block;vertical-align:-.15em;margin-right:.35em}
details{border:1px solid var(--rule);border-radius:.5rem;margin:.6rem 0;padding:0 1rem;background:var(--ground)}
details[open]{padding-bottom:1rem}
summary{cursor:pointer;padding:.65rem 0;font-weight:600;overflow-wrap:anywhere}
ul{margin:.25rem 0;padding-left:1.2rem}li{margin:.25rem 0;overflow-wrap:anywhere}
@media(max-width:720px){
table.runs thead{display:none}
table.runs,table.runs tbody,table.runs td{display:block}
table.runs tr{display:grid;grid-template-columns:1fr 1fr;gap:.3rem .75rem;border:1px solid var(--rule);
border-radius:.5rem;margin:.6rem 0;padding:.5rem .75rem;background:var(--panel)}
table.runs td,table.runs td.number{border:0;padding:0;text-align:left;white-space:normal;min-width:0;
overflow-wrap:anywhere}
table.runs td::before{display:block;content:attr(data-name);color:var(--soft);font-size:.8rem;line-height:1.3}
table.runs td:nth-child(1){font-weight:700}
table.runs td:nth-child(3){order:2}table.runs td:nth-child(8){order:3}table.runs td:nth-child(4),
table.runs td:nth-child(5){order:1}table.runs td:nth-child(6){order:4;grid-column:1/-1}
table.runs td.why{order:5;grid-column:1/-1}
}
@media(max-width:720px){
table.cells thead{display:none}table.cells,table.cells tbody,table.cells td{display:block}
table.cells tr{display:grid;grid-template-columns:repeat(3,1fr);gap:.2rem .6rem;padding:.5rem 0;
border-bottom:1px solid var(--rule)}
table.cells td,table.cells td.number{border:0;padding:0;text-align:left;white-space:normal;min-width:0}
table.cells td:first-child{grid-column:1/-1;font-weight:600;overflow-wrap:anywhere}
table.cells td.number::before{display:block;content:attr(data-name);color:var(--soft);font-size:.75rem}
table.cells td .soft{font-size:.75rem}
}
@media print{details{border:0;padding:0}}
.shade{display:block;margin:-.2rem -.4rem;padding:.2rem .4rem;border-radius:.2rem;
background:color-mix(in srgb,var(--candidate) calc(var(--share)*55%),transparent)}
"""
)
