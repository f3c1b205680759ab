#include "engine/step/page.h"

#include "engine/error.h"
#include "engine/step/embedded.h"

namespace gradus {

namespace {

constexpr const char* kBody = R"(<div id="walk">
<div id="bar">
<button type="button" id="back" aria-label="one step back">←</button>
<button type="button" id="next" aria-label="next step">→</button>
<button type="button" id="forward-part" class="word">forward</button>
<button type="button" id="backward-part" class="word">backward</button>
<input type="range" id="slider" min="0" max="1" value="0" step="1" aria-label="place in the walk">
<span id="count"></span>
</div>
<div id="graph"></div>
<div id="detail" aria-live="polite"><noscript>This page needs JavaScript.</noscript></div>
</div>
)";

// JSON within a script element: nothing in it may end the element, or begin what hides its end.
std::string embedded(const std::string& json) {
  std::string out;
  for (const char c : json) out += c == '<' ? "\\u003c" : std::string(1, c);
  return out;
}

// Plain text for an element. What the trace holds is harmless already, but for these.
std::string escaped(const std::string& plain) {
  std::string out;
  for (const char c : plain) out += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
  return out;
}

}  // namespace

std::string step_page(const Trace& trace) {
  const std::string title = escaped("gradus step: " + trace.name);
  return text("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
              "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>", title,
              "</title>\n<style>\n", engine_step_palette_css, engine_step_page_css,
              "</style>\n</head>\n<body>\n<main>\n<h1>", title, "</h1>\n<p class=\"subtitle\">", escaped(trace.title),
              "</p>\n", kBody, "<script type=\"application/json\" id=\"trace\">", embedded(to_json(trace).dump()),
              "</script>\n<script>", engine_step_page_js, "</script>\n<footer>", trace.ops.size(), " ops, ",
              trace.precision,
              ". Keys: → next, ← back, f forward part, b backward part.</footer>\n</main>\n</body>\n</html>\n");
}

}  // namespace gradus
