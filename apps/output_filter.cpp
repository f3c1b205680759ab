#include "apps/output_filter.h"

#include <algorithm>

#include "apps/format.h"
#include "engine/error.h"

namespace gradus {

OutputFilter::OutputFilter(const std::string& block, std::vector<std::string> require, const Tokenizer& tokenizer)
    : required_(std::move(require)) {
  if (!block.empty()) blocked_.emplace(block, word_rule(tokenizer));
}

bool OutputFilter::lets_out(const std::string& text) {
  ++seen_;
  const bool allowed = !(blocked_ && blocked_->occurs_in(text)) &&
                       std::ranges::all_of(required_, [&](const auto& part) { return text.find(part) != text.npos; });
  in_a_row_ = allowed ? 0 : in_a_row_ + 1;
  refused_ += !allowed;
  if (in_a_row_ == kMostRefused)
    throw DataError(gradus::text("--block and --require have refused ", grouped(kMostRefused), " samples in a row (",
                                 shown(text), " was the last), so the model may have none to let out; loosen them"));
  return allowed;
}

std::string OutputFilter::summary() const {
  return text("refused ", grouped(refused_), " of ", grouped(seen_), seen_ == 1 ? " sample (" : " samples (",
              fixed(100 * double(refused_) / double(seen_), 1), " %)");
}

}  // namespace gradus
