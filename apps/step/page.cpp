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

}  // namespace

std::string step_page(const Trace& trace) {
  Page page("gradus step: " + trace.name, trace.title);
  page.style(apps_step_page_css);
  page.bare(kBody);
  page.data("trace", to_json(trace).dump());
  page.script(apps_step_page_js);
  return page.str(text("gradus step, ", trace.ops.size(), " ops, ", trace.precision,
                       ". Keys: → next, ← back, f forward part, b backward part."));
}

}  // namespace gradus
