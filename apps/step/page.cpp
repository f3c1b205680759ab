#include "apps/step/page.h"

#include "apps/embedded.h"
#include "apps/report/page.h"
#include "engine/error.h"

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

}  // namespace

std::string step_page(const Trace& trace) {
  Page page("gradus step: " + trace.name, trace.title);
  page.style(apps_step_page_css);
  page.bare(kBody);
  page.bare("<script type=\"application/json\" id=\"trace\">" + embedded(to_json(trace).dump()) +
            "</script>\n<script>" + std::string(apps_step_page_js) + "</script>\n");
  return page.str(text("gradus step, ", trace.ops.size(), " ops, ", trace.precision,
                       ". Keys: → next, ← back, f forward part, b backward part."));
}

}  // namespace gradus
