#include "engine/step/page.h"

#include "engine/error.h"
#include "engine/io/script_json.h"
#include "engine/step/embedded.h"

namespace gradus {

namespace {

constexpr const char* kBody = R"(<div id="walk">
<div id="bar">
<button type="button" id="back" aria-label="one step back">←</button>
<button type="button" id="next" aria-label="next step">→</button>
<button type="button" id="start-part" class="word">start</button>
<button type="button" id="forward-part" class="word">forward</button>
<button type="button" id="backward-part" class="word">backward</button>
<button type="button" id="update-part" class="word">update</button>
<button type="button" id="end-part" class="word">end</button>
<input type="range" id="slider" min="0" max="1" value="0" step="1" aria-label="place in the walk">
<span id="count"></span>
</div>
<div id="stage"><div id="graph"></div>
<div id="tools">
<button type="button" id="smaller" aria-label="zoom out">−</button>
<button type="button" id="larger" aria-label="zoom in">+</button>
<button type="button" id="whole">fit</button>
</div></div>
<div id="detail" aria-live="polite"><noscript>This page needs JavaScript.</noscript></div>
</div>
)";

// Plain text for an element. What the trace holds is harmless already, but for these.
std::string escaped(const std::string& plain) {
  std::string out;
  for (const char c : plain) out += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
  return out;
}

}  // namespace

std::string step_page(const Trace& trace) {
  const std::string title = escaped("gradus step: " + trace.name);
  return text(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>", title, "</title>\n<style>\n",
      engine_step_palette_css, engine_step_page_css, "</style>\n</head>\n<body>\n<main>\n<h1>", title,
      "</h1>\n<p class=\"subtitle\">", escaped(trace.title), "</p>\n", kBody, "<footer>", trace.ops.size(), " ops, ",
      trace.precision, ". Keys: → next, ← back, ", trace.opening.empty() ? "" : "s start, ", "f forward, b backward, ",
      trace.updates.empty() ? "" : "u update, ", trace.closing.empty() ? "" : "e end, ", "+ − 0 zoom.</footer>\n",
      "<script type=\"application/json\" id=\"trace\">", script_json(to_json(trace).dump()), "</script>\n<script>",
      engine_step_page_js, "</script>\n</main>\n</body>\n</html>\n");
}

}  // namespace gradus
