#include "apps/report/page.h"

#include <utf8.h>

#include <iterator>

namespace gradus {

namespace {

// What a code point becomes where HTML forbids it or a reader would not see it.
char32_t visible(char32_t c) {
  if (c == '\n' || c == '\t') return c;
  if (c < 0x20) return 0x2400 + c;  // the signs for control characters
  const bool control = c >= 0x7F && c < 0xA0, noncharacter = (c >= 0xFDD0 && c <= 0xFDEF) || (c & 0xFFFE) == 0xFFFE;
  return control || noncharacter ? 0xFFFD : c;
}

// Colours: s1 to s4 stand apart for colour-blind readers too, in both settings.
constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --paper: #fcfcfa; --card: #fff; --ink: #1b1b1a; --muted: #66655f; --grid: #e7e6e1;
  --axis: #b5b4ad; --s1: #2a6fc9; --s2: #d4581c; --s3: #12845f; --s4: #7a52c0; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #151514; --card: #1d1d1b; --ink: #efeee9; --muted: #a3a29a; --grid: #31312e; --axis: #5d5c57;
    --s1: #6aa8f5; --s2: #f2905a; --s3: #4cc49a; --s4: #b196ee; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", Roboto,
  "Noto Sans", "Noto Sans CJK SC", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 28px 24px 40px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 34px 0 10px; }
h3 { font-size: 14px; font-weight: 600; margin: 0 0 8px; }
p { margin: 6px 0; max-width: 80ch; overflow-wrap: anywhere; }
.subtitle, footer { color: var(--muted); }
footer { margin-top: 36px; font-size: 13px; }
.card { background: var(--card); border: 1px solid var(--grid); border-radius: 8px; padding: 14px 16px; margin: 12px 0 0;
  min-width: 0; }
.side { display: grid; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); gap: 12px; margin-top: 12px; }
.side .card { margin: 0; display: flex; flex-direction: column; justify-content: space-between; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 255px)); gap: 12px; margin: 20px 0 0; }
.figures .card { margin: 0; padding: 10px 14px; }
.figures dt { color: var(--muted); font-size: 13px; }
.figures dd { margin: 0; }
.figures .value { font-size: 24px; line-height: 1.3; font-variant-numeric: tabular-nums; }
.figures .remark { color: var(--muted); font-size: 12.5px; line-height: 1.35; }
.facts { columns: 3 250px; column-gap: 32px; margin: 0; font-size: 14px; }
.facts div { display: flex; justify-content: space-between; gap: 12px; padding: 3px 0; border-bottom: 1px solid var(--grid);
  break-inside: avoid; }
.facts dt { color: var(--muted); }
.facts dd { margin: 0; text-align: right; overflow-wrap: anywhere; min-width: 0; font-variant-numeric: tabular-nums; }
.facts .marked dt, .facts .marked dd { color: var(--ink); font-weight: 600; }
.passages { list-style: none; margin: 0; padding: 0; }
.passages li { display: grid; grid-template-columns: 150px 1fr; gap: 4px 20px; padding: 10px 0;
  border-top: 1px solid var(--grid); }
.passages li:first-child { border-top: 0; padding-top: 0; }
.passages li:last-child { padding-bottom: 0; }
.passages .heading { color: var(--muted); font-size: 13px; white-space: pre-line; font-variant-numeric: tabular-nums; }
.passages .text { white-space: pre-wrap; overflow-wrap: anywhere; min-width: 0; tab-size: 4; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 18px; list-style: none; margin: 0 0 10px; padding: 0; font-size: 13px; }
.legend li::before { content: ""; display: inline-block; width: 18px; height: 0; margin-right: 7px;
  vertical-align: middle; border-top: 2px solid currentColor; }
.legend li span { color: var(--ink); }
.legend .faint::before { border-top-width: 7px; opacity: .35; }
.legend .dots::before { width: 9px; height: 9px; border: 0; border-radius: 50%; background: currentColor; }
.legend .bar::before { width: 12px; height: 12px; border: 0; border-radius: 2px; background: currentColor; }
.s1 { color: var(--s1); } .s2 { color: var(--s2); } .s3 { color: var(--s3); } .s4 { color: var(--s4); }
.plot { padding: 4px 8px 38px 46px; }
section > .card > .named { padding-right: 128px; }
.plot svg, .bars svg { display: block; width: 100%; overflow: visible; }
.plot svg svg { overflow: hidden; }
svg text { fill: var(--muted); font-size: 12px; font-variant-numeric: tabular-nums; }
svg .grid { stroke: var(--grid); }
svg .axis { stroke: var(--axis); }
svg path { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; vector-effect: non-scaling-stroke; }
svg path.faint { stroke-width: 1; opacity: .4; }
svg path.dots { stroke-width: 1.5; }
svg circle { fill: currentColor; stroke: var(--card); stroke-width: 1.5; }
svg .level { stroke: var(--muted); stroke-width: 1.25; stroke-dasharray: 6 4; }
svg .level[class*=" s"] { stroke: currentColor; stroke-width: 1.75; }
svg text.name { fill: var(--ink); paint-order: stroke; stroke: var(--card); stroke-width: 4px; stroke-linejoin: round;
  transform: translate(8px, 9px); }
.side svg text.name { text-anchor: end; transform: translate(-4px, 0); }
svg .y { text-anchor: end; }
svg .x { text-anchor: middle; }
svg rect { fill: currentColor; }
.bars .name { font-size: 13.5px; overflow-wrap: anywhere; margin-top: 8px; }
@media (max-width: 600px) {
  main { padding: 18px 12px 28px; }
  h1 { font-size: 22px; }
  .card { padding: 12px; }
  .figures { grid-template-columns: 1fr 1fr; gap: 8px; }
  .figures .value { font-size: 21px; }
  .passages li { grid-template-columns: 1fr; }
  .passages .heading { white-space: normal; }
  .plot, section > .card > .named { padding-left: 40px; padding-right: 2px; }
  svg text.name { text-anchor: end; transform: translate(-4px, 0); }
}
@media print { .card { break-inside: avoid; } }
)";

}  // namespace

std::string escape_html(std::string_view text) {
  std::string clean, out;
  utf8::replace_invalid(text.begin(), text.end(), std::back_inserter(clean));
  for (auto i = clean.begin(); i != clean.end();) {
    const char32_t c = visible(utf8::unchecked::next(i));
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&#39;";
    else
      utf8::unchecked::append(c, std::back_inserter(out));
  }
  return out;
}

Page::Page(std::string_view title, std::string_view subtitle) : title_(escape_html(title)) {
  body_ = "<h1>" + title_ + "</h1>\n<p class=\"subtitle\">" + escape_html(subtitle) + "</p>\n";
}

void Page::section(std::string_view heading) {
  body_ += std::string(open_ ? "</section>\n" : "") + "<section>\n<h2>" + escape_html(heading) + "</h2>\n";
  open_ = true;
}

void Page::paragraph(std::string_view text) { body_ += "<p>" + escape_html(text) + "</p>\n"; }

void Page::code(std::string_view text) {
  body_ += "<div class=\"card\"><pre><code>" + escape_html(text) + "</code></pre></div>\n";
}

void Page::html(std::string_view html) { body_.append("<div class=\"card\">\n").append(html).append("</div>\n"); }

void Page::bare(std::string_view html) { body_ += html; }

void Page::style(std::string_view css) { style_ += css; }

void Page::side_by_side(const std::vector<std::string>& html_parts) {
  body_ += "<div class=\"side\">\n";
  for (const std::string& part : html_parts) html(part);
  body_ += "</div>\n";
}

void Page::figures(const std::vector<Figure>& figures) {
  body_ += "<dl class=\"figures\">\n";
  for (const Figure& f : figures)
    body_ += "<div class=\"card\"><dt>" + escape_html(f.name) + "</dt><dd class=\"value\">" + escape_html(f.value) +
             "</dd><dd class=\"remark\">" + escape_html(f.remark) + "</dd></div>\n";
  body_ += "</dl>\n";
}

void Page::facts(const std::vector<Fact>& facts) {
  body_ += "<div class=\"card\"><dl class=\"facts\">\n";
  for (const Fact& f : facts)
    body_ += std::string(f.marked ? "<div class=\"marked\">" : "<div>") + "<dt>" + escape_html(f.name) + "</dt><dd>" +
             escape_html(f.value) + "</dd></div>\n";
  body_ += "</dl></div>\n";
}

void Page::passages(const std::vector<Passage>& passages) {
  body_ += "<div class=\"card\"><ol class=\"passages\">\n";
  for (const Passage& p : passages)
    body_ += "<li><div class=\"heading\">" + escape_html(p.heading) + "</div><div class=\"text\">" +
             escape_html(p.text) + "</div></li>\n";
  body_ += "</ol></div>\n";
}

std::string Page::str(std::string_view foot) const {
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
         title_ + "</title>\n<style>" + kStyle + style_ + "</style>\n</head>\n<body>\n<main>\n" + body_ +
         (open_ ? "</section>\n" : "") + "<footer>" + escape_html(foot) + "</footer>\n</main>\n</body>\n</html>\n";
}

}  // namespace gradus
