#include "apps/report/page.h"

#include <utf8.h>

#include <iterator>

#include "apps/embedded.h"
#include "engine/io/script_json.h"
#include "engine/step/embedded.h"
#include "models/text/utf8.h"

namespace gradus {

namespace {

// What a code point becomes where HTML forbids it or a reader would not see it.
char32_t allowed(char32_t c) {
  const bool noncharacter = (c >= 0xFDD0 && c <= 0xFDEF) || (c & 0xFFFE) == 0xFFFE;
  return noncharacter ? 0xFFFD : visible(c);
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string clean, out;
  utf8::replace_invalid(text.begin(), text.end(), std::back_inserter(clean));
  for (auto i = clean.begin(); i != clean.end();) {
    const char32_t c = allowed(utf8::unchecked::next(i));
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

void Page::data(std::string_view id, std::string_view json) {
  body_ += "<script type=\"application/json\" id=\"" + escape_html(id) + "\">";
  body_ += script_json(json) + "</script>\n";
}

void Page::script(std::string_view js) { body_.append("<script>").append(js).append("</script>\n"); }

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
         title_ + "</title>\n<style>\n" + std::string(engine_step_palette_css) + apps_report_page_css + style_ +
         "</style>\n</head>\n<body>\n<main>\n" + body_ + (open_ ? "</section>\n" : "") + "<footer>" +
         escape_html(foot) + "</footer>\n</main>\n</body>\n</html>\n";
}

}  // namespace gradus
