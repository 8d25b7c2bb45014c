"""The style sheet of a report: light and dark as the reader's system says, one column on a narrow screen, printable."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --text: #1b2330; --soft: #556070; --line: #d9dee6;
  --good: #1a7f4b; --bad: #b3261e; --warn: #8a5a00; --curve: #1f6fb2; --area: #1f6fb22e; --limit: #b3261e;
  --mark: #7a3fa0; --bar: #9fb6cf; --code: #f0f2f5; }
@media (prefers-color-scheme: dark) { :root { --page: #12161c; --card: #1b212a; --text: #e6eaf0; --soft: #9aa7b8;
  --line: #333d4a; --good: #5fce93; --bad: #ff8a80; --warn: #f0b95a; --curve: #6cb6f5; --area: #6cb6f533;
  --limit: #ff8a80; --mark: #d0a2f0; --bar: #46627f; --code: #12161c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
main, footer { max-width: 68rem; margin: 0 auto; padding: 1.25rem; }
footer { color: var(--soft); font-size: .85rem; padding-top: 0; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.1rem; margin: 0 0 .75rem; }
h3 { font-size: .95rem; margin: 1.25rem 0 .25rem; }
header, section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1.1rem 1.25rem;
  margin: 0 0 1rem; }
header p { margin: .4rem 0; }
.sentence { font-size: 1.1rem; }
.badge { display: inline-block; border: 1.5px solid currentColor; border-radius: 1rem; padding: .05rem .7rem;
  font-weight: 600; font-size: .9rem; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); } .soft { color: var(--soft); }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .3rem 1rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
caption { text-align: left; color: var(--soft); font-size: .85rem; padding-bottom: .3rem; }
th, td { text-align: left; padding: .32rem .9rem .32rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: break-word; }
thead th { color: var(--soft); font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 500; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
pre { background: var(--code); border: 1px solid var(--line); border-radius: .4rem; padding: .7rem; margin: .5rem 0 0;
  font: .8rem/1.45 ui-monospace, "DejaVu Sans Mono", monospace; white-space: pre-wrap; max-height: 32rem;
  overflow: auto; }
summary { cursor: pointer; color: var(--soft); margin: .5rem 0 0; }
:focus-visible { outline: 2px solid var(--curve); outline-offset: 2px; }
figure { margin: 0 0 1rem; } section > .scroll + .scroll, .scroll + figure { margin-top: 1rem; }
figcaption { color: var(--soft); font-size: .88rem; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font: 12px system-ui, "DejaVu Sans", sans-serif; }
svg .strong { fill: var(--text); font-weight: 600; }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .curve { fill: none; stroke: var(--curve); stroke-width: 1.8; stroke-linejoin: round; }
svg .area { fill: var(--area); stroke: none; }
svg .limit { stroke: var(--limit); stroke-width: 1.4; stroke-dasharray: 6 4; }
svg .limit-text { fill: var(--limit); }
svg .mark { stroke: var(--mark); stroke-width: 1.2; stroke-dasharray: 2 3; }
svg .mark-text { fill: var(--mark); font-weight: 700; }
svg .bar { fill: var(--bar); } svg .bar-good { fill: var(--good); } svg .bar-bad { fill: var(--bad); }
svg .bar-run { fill: var(--curve); }
svg .dot { fill: var(--curve); fill-opacity: .65; } svg .dot-bad { fill: none; stroke: var(--bad); stroke-width: 1.6; }
.narrow { display: none; }
.s { white-space: nowrap; }
ol.moments { margin: .3rem 0 1rem; padding-left: 1.4rem; list-style: upper-alpha; font-size: .88rem; }
.keys { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: .3rem 0 0; padding: 0; list-style: none;
  font-size: .88rem; color: var(--soft); }
@media (max-width: 40rem) { main, footer { padding: .6rem; } header, section { padding: .8rem .8rem; }
  .wide { display: none; } .narrow { display: block; } dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin: 0 0 .5rem; }
  .stack, .stack caption, .stack tbody { display: block; } .stack thead { display: none; }
  .stack tr { display: grid; grid-template-columns: 1fr 1fr; gap: .1rem .8rem; padding: .45rem 0;
    border-bottom: 1px solid var(--line); }
  .stack th, .stack td { border: 0; padding: 0; text-align: left; white-space: normal; }
  .stack tbody th { grid-column: 1 / -1; font-weight: 700; }
  .stack td::before { content: attr(data-label) " "; color: var(--soft); } .stack td:empty { display: none; }
  .stack td:not(.s):not(.n) { grid-column: 1 / -1; } th, td { padding-right: .6rem; } h1 { font-size: 1.25rem; } }
@media print { body { background: #fff; } header, section { break-inside: avoid; border-color: #bbb; }
  pre { max-height: none; } }
"""
